#include "run/executor.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "fusion/fuse.h"
#include "kernels/compressed.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "run/available_memory.h"
#include "run/monitor.h"
#include "run/own_graph.h"
#include "support/error.h"

namespace tintype {

namespace {

void drop(Frame& frame, int slot) {
  Value& value = frame.values[static_cast<size_t>(slot)];
  frame.live_bytes -= value.counted_bytes;
  value = Value{};
}

// A damaged or hostile program may ask for more than the machine has: refuse before MLX allocates, since a
// system that promises more memory than it has would kill the process later. Values are counted as if each
// had memory of its own.
void put(const Operation& operation, Frame& frame, int slot, array x) {
  Value& value = frame.values[static_cast<size_t>(slot)];
  drop(frame, slot);
  frame.live_bytes += x.nbytes();
  if (frame.live_bytes > most_bytes(frame, frame.live_bytes)) {
    refuse(TT_ERROR_OUT_OF_MEMORY,
           {place_of(operation), "the results are larger than memory",
            describe_shape(x.shape()) + " and " + std::to_string((frame.live_bytes - x.nbytes()) >> 20) +
                " MiB beside it",
            "at most " + std::to_string(frame.available_bytes >> 20) + " MiB",
            "Close other programs, or use a smaller model or input."});
  }
  value.counted_bytes = x.nbytes();
  value.tensor = std::move(x);
}

bool agrees(const array& x, const TensorType& declared) {
  if (declared.any_rank) return true;
  if (x.ndim() != declared.shape.size()) return false;
  for (size_t i = 0; i < declared.shape.size(); ++i) {
    if (declared.shape[i] >= 0 && declared.shape[i] != x.shape(static_cast<int>(i))) return false;
  }
  return true;
}

// The op computed in whatever type is best; what the program sees has the declared one.
array as_declared(const Operation& operation, size_t index, const array& x) {
  if (x.ndim() > TT_MAX_RANK) {
    refuse(TT_ERROR_UNSUPPORTED,
           {place_of(operation), "the result's rank is too high", std::to_string(x.ndim()),
            "at most " + std::to_string(TT_MAX_RANK), "Convert the model with tensors of fewer axes."});
  }
  if (!is_countable(x)) {
    refuse(TT_ERROR_OUT_OF_MEMORY, {place_of(operation), "the result is larger than memory",
                                    describe_shape(x.shape()), "", "Use a smaller model or input."});
  }
  const ValueType& type = operation.outputs[index].type;
  if (type.kind != ValueType::Kind::kTensor || type.tensor.dtype == DType::kString) return x;
  if (!agrees(x, type.tensor)) {
    refuse(TT_ERROR_FORMAT,
           {place_of(operation), "the result is not what the program declares", describe_shape(x.shape()),
            describe_shape(type.tensor.shape), "The program contradicts itself: convert it again."});
  }
  return kernels::cast(x, mlx_dtype(type.tensor.dtype));
}

[[noreturn]] void too_large_between(const Operation& operation, const std::string& got,
                                    const std::string& expected) {
  refuse(TT_ERROR_OUT_OF_MEMORY, {place_of(operation), "what it computes on the way is larger than memory",
                                  got, expected, "Close other programs, or use a smaller model or input."});
}

// What an op's own graph holds on the way to its results, beside all that is alive; an op that takes
// another's work over reads what that read. Ops with blocks have run theirs.
void check_between(const Operation& operation, const std::vector<array>& results, Frame& frame) {
  if (!operation.blocks.empty()) return;
  std::unordered_set<std::uintptr_t> given;
  for (const Argument& argument : operation.arguments) {
    for (const Binding& binding : argument.bindings) {
      const Value& value = frame.at(binding.slot);
      if (!value.tensor) continue;
      given.insert(value.tensor->id());
      for (const array& input : value.tensor->inputs()) given.insert(input.id());
    }
  }
  OwnGraph graph = own_graph(results, given);
  bool alone = graph.order.size() == 1 && graph.order[0].id() == results[0].id();
  if (alone || graph.order.empty()) return;  // the results are counted as they are put
  for (const array& x : graph.order) {
    if (!is_countable(x)) too_large_between(operation, describe_shape(x.shape()), "");
  }
  uint64_t bytes = frame.live_bytes + graph.peak_bytes, most = most_bytes(frame, bytes);
  if (bytes <= most) return;
  too_large_between(operation,
                    std::to_string(graph.peak_bytes >> 20) + " MiB and " +
                        std::to_string(frame.live_bytes >> 20) + " MiB beside it",
                    "at most " + std::to_string(most >> 20) + " MiB");
}

std::vector<array> computed(Call& call) {
  const OpEntry& entry = *call.operation().entry;
  if (entry.run_one) return {entry.run_one(call)};
  return entry.run_many(call);
}

std::vector<array> run(const Operation& operation, Frame& frame) {
  Call call(operation, frame);
  try {
    std::vector<array> results = computed(call);
    check_between(operation, results, frame);
    return results;
  } catch (...) {
    rethrow_as_refusal(place_of(operation));
  }
}

void execute(const Operation& operation, Frame& frame) {
  std::vector<array> results = run(operation, frame);
  if (results.size() < operation.outputs.size()) {
    refuse(TT_ERROR_FORMAT,
           {place_of(operation), "wrong count of outputs", std::to_string(operation.outputs.size()),
            std::to_string(results.size()), "The program contradicts itself: convert it again."});
  }
  for (size_t i = 0; i < operation.outputs.size(); ++i) {
    put(operation, frame, operation.outputs[i].slot, as_declared(operation, i, results[i]));
  }
}

// The value of a pattern, or nothing where its ops must run in turn.
std::optional<array> at_once(const Operation& whole, Frame& frame) {
  if (!whole.fusion) return std::nullopt;
  std::vector<Call> calls;
  for (const Operation& part : whole.parts) calls.emplace_back(part, frame);
  try {
    std::optional<array> y = whole.fusion->run(calls, whole.arguments[0].bindings[0].is_only_use);
    if (y) check_between(whole, {*y}, frame);
    return y;
  } catch (...) {
    rethrow_as_refusal(place_of(whole));
  }
}

// What only the parts read is gone afterwards.
void execute_joined(const Operation& whole, Frame& frame) {
  if (std::optional<array> y = at_once(whole, frame))
    return put(whole, frame, whole.outputs[0].slot, as_declared(whole, 0, *y));
  for (const Operation& part : whole.parts)
    part.parts.empty() ? execute(part, frame) : execute_joined(part, frame);
  for (const Operation& part : whole.parts) {
    for (const Definition& output : part.outputs) {
      if (output.slot != whole.outputs[0].slot) drop(frame, output.slot);
    }
  }
}

}  // namespace

uint64_t most_bytes(Frame& frame, uint64_t bytes) {
  constexpr uint64_t kUnquestioned = uint64_t{256} << 20;
  if (frame.available_bytes == 0 && bytes <= kUnquestioned) return kUnquestioned;
  if (frame.available_bytes == 0) frame.available_bytes = std::max<uint64_t>(available_memory(), 1);
  return frame.available_bytes;
}

void execute_operation(const Operation& operation, Frame& frame) {
  if (operation.value) return;  // a constant, loaded or of no use but to a compressed weight
  if (operation.outputs.size() == 1) {
    auto slot = static_cast<size_t>(operation.outputs[0].slot);
    if (const auto& weight = frame.constants[slot].compressed) {
      array expanded = kernels::expand(weight);
      if (expanded.nbytes() > most_bytes(frame, expanded.nbytes())) {
        refuse(TT_ERROR_OUT_OF_MEMORY,
               {place_of(operation), "the weight is larger than memory when it is expanded",
                describe_shape(expanded.shape()), "", "Close other programs, or use a smaller model."});
      }
      frame.values[slot].tensor = std::move(expanded);
      return;
    }
  }
  bool known = !operation.outputs.empty() &&
               std::all_of(operation.outputs.begin(), operation.outputs.end(), [&](const Definition& output) {
                 return frame.constants[static_cast<size_t>(output.slot)].defined();
               });
  if (known) return;
  if (frame.monitor) frame.monitor->before();
  operation.parts.empty() ? execute(operation, frame) : execute_joined(operation, frame);
  if (frame.monitor) frame.monitor->after(operation, frame);
}

std::vector<array> execute_block(const Block& block, const std::vector<array>& inputs, Frame& frame) {
  if (inputs.size() != block.inputs.size()) {
    refuse(TT_ERROR_FORMAT,
           {"block", "wrong count of inputs", std::to_string(inputs.size()),
            std::to_string(block.inputs.size()), "The program contradicts itself: convert it again."});
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    frame.values[static_cast<size_t>(block.inputs[i].slot)].tensor = inputs[i];
  for (const Operation& operation : block.operations) {
    execute_operation(operation, frame);
    for (int slot : operation.releases) drop(frame, slot);
  }
  std::vector<array> outputs;
  for (const Binding& output : block.outputs) {
    const Value& value = frame.at(output.slot);
    if (!value.tensor)
      refuse(TT_ERROR_UNSUPPORTED, {"output " + quoted(output.name), "it is a text", "", "a tensor",
                                    "Convert the model without it."});
    outputs.push_back(*value.tensor);
  }
  return outputs;
}

}  // namespace tintype
