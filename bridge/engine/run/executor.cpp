#include "run/executor.h"

#include <algorithm>

#include "kernels/compressed.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "run/available_memory.h"
#include "run/monitor.h"
#include "support/error.h"

namespace tintype {

namespace {

// The count of elements must not wrap around 64 bits.
bool is_countable(const array& x) {
  size_t limit = static_cast<size_t>(kMostElements), elements = 1;
  for (int dimension : x.shape()) {
    if (dimension < 0 || (dimension > 0 && elements > limit / static_cast<size_t>(dimension))) return false;
    elements *= static_cast<size_t>(dimension);
  }
  return true;
}

void drop(Frame& frame, int slot) {
  Value& value = frame.values[static_cast<size_t>(slot)];
  frame.live_bytes -= value.counted_bytes;
  value = Value{};
}

// A damaged or hostile program may ask for more than the machine has: refuse before MLX allocates, since a
// system that promises more memory than it has would kill the process later. Values are counted as if each
// had memory of its own.
void put(const Operation& operation, Frame& frame, int slot, array x) {
  constexpr uint64_t kUnquestioned = uint64_t{256} << 20;
  Value& value = frame.values[static_cast<size_t>(slot)];
  drop(frame, slot);
  frame.live_bytes += x.nbytes();
  if (frame.live_bytes > kUnquestioned) {
    if (frame.available_bytes == 0) frame.available_bytes = std::max<uint64_t>(available_memory(), 1);
    if (frame.live_bytes > frame.available_bytes) {
      refuse(TT_ERROR_OUT_OF_MEMORY,
             {place_of(operation), "the results are larger than memory",
              describe_shape(x.shape()) + " and " + std::to_string((frame.live_bytes - x.nbytes()) >> 20) +
                  " MiB beside it",
              "at most " + std::to_string(frame.available_bytes >> 20) + " MiB",
              "Close other programs, or use a smaller model or input."});
    }
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
  const ValueType& type = operation.outputs[index].type;
  if (type.kind != ValueType::Kind::kTensor || type.tensor.dtype == DType::kString) return x;
  if (!agrees(x, type.tensor)) {
    refuse(TT_ERROR_FORMAT,
           {place_of(operation), "the result is not what the program declares", describe_shape(x.shape()),
            describe_shape(type.tensor.shape), "The program contradicts itself: convert it again."});
  }
  if (!is_countable(x)) {
    refuse(TT_ERROR_OUT_OF_MEMORY, {place_of(operation), "the result is larger than memory",
                                    describe_shape(x.shape()), "", "Use a smaller model or input."});
  }
  return kernels::cast(x, mlx_dtype(type.tensor.dtype));
}

std::vector<array> run(const Operation& operation, Frame& frame) {
  Call call(operation, frame);
  try {
    if (operation.entry->run_one) return {operation.entry->run_one(call)};
    return operation.entry->run_many(call);
  } catch (const EngineError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    refuse(status_of(error), {place_of(operation), "MLX refused it: " + std::string(error.what())});
  }
}

}  // namespace

void execute_operation(const Operation& operation, Frame& frame) {
  if (operation.value) return;  // a constant, loaded or of no use but to a compressed weight
  if (operation.outputs.size() == 1) {
    auto slot = static_cast<size_t>(operation.outputs[0].slot);
    if (const auto& weight = frame.constants[slot].compressed) {
      frame.values[slot].tensor = kernels::expand(weight);
      return;
    }
  }
  bool known = !operation.outputs.empty() &&
               std::all_of(operation.outputs.begin(), operation.outputs.end(), [&](const Definition& output) {
                 return frame.constants[static_cast<size_t>(output.slot)].defined();
               });
  if (known) return;
  if (frame.monitor) frame.monitor->before();
  std::vector<array> results = run(operation, frame);
  if (results.size() < operation.outputs.size()) {
    refuse(TT_ERROR_FORMAT, {place_of(operation), "wrong count of outputs",
                             std::to_string(operation.outputs.size()), std::to_string(results.size())});
  }
  for (size_t i = 0; i < operation.outputs.size(); ++i) {
    put(operation, frame, operation.outputs[i].slot, as_declared(operation, i, results[i]));
  }
  results.clear();
  if (frame.monitor) frame.monitor->after(operation, frame);
}

std::vector<array> execute_block(const Block& block, const std::vector<array>& inputs, Frame& frame) {
  if (inputs.size() != block.inputs.size()) {
    refuse(TT_ERROR_FORMAT, {"block", "wrong count of inputs", std::to_string(inputs.size()),
                             std::to_string(block.inputs.size())});
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
      refuse(TT_ERROR_UNSUPPORTED, {"output " + quoted(output.name), "only tensors can be returned"});
    outputs.push_back(*value.tensor);
  }
  return outputs;
}

}  // namespace tintype
