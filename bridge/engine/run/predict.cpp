// One call of a loaded function, from the caller's arrays to the result.
#include "kernels/primitives.h"
#include "mlx/mlx.h"
#include "ops/call.h"
#include "run/compute.h"
#include "run/engine_thread.h"
#include "run/executor.h"
#include "run/images.h"
#include "run/memory.h"
#include "run/model.h"
#include "run/monitor.h"
#include "run/state.h"
#include "support/error.h"

namespace tintype {

namespace {

void check_state(const Model& model, const LoadedFunction& function, const State* state) {
  if (state) return state->check(model, function);
  if (function.states.empty()) return;
  refuse(TT_ERROR_INVALID_ARGUMENT,
         {"function " + quoted(function.program->name),
          "it keeps " + quoted(function.states[0].name) + " in a state, and the call has none", "", "",
          "Make one for the model and hand it to every predict."});
}

void bind(const LoadedFunction& function, const Request& request, Frame& frame) {
  std::vector<array> bound = bind_inputs(function, request.inputs, request.count);
  for (size_t i = 0; i < bound.size(); ++i) {
    Value& value = frame.values[static_cast<size_t>(function.input_slots[i])];
    value.tensor = std::move(bound[i]);
    value.is_input = true;
  }
  for (size_t i = 0; i < function.state_slots.size(); ++i) {
    Value& value = frame.values[static_cast<size_t>(function.state_slots[i])];
    value.tensor = request.state->values()[i];
    value.is_state = true;
  }
}

std::vector<array> inputs_of(const LoadedFunction& function, const Frame& frame) {
  std::vector<array> inputs;
  for (int slot : function.input_slots) inputs.push_back(*frame.values[static_cast<size_t>(slot)].tensor);
  return inputs;
}

// A caller in C++ may throw where C cannot: the job that the engine's thread holds must not be unwound.
bool is_unwanted(const Request& request, double fraction) {
  try {
    return request.progress(request.progress_context, fraction) != 0;
  } catch (...) {
    return true;
  }
}

std::vector<array> in_described_order(const LoadedFunction& function, const std::vector<array>& outputs) {
  std::vector<array> ordered;
  for (size_t i = 0; i < function.outputs.size(); ++i) {
    const Feature& feature = function.outputs[i];
    const array& output = outputs[function.output_places[i]];
    ordered.push_back(kernels::dense(feature.image ? tensor_to_image(*feature.image, output)
                                                   : kernels::cast(output, mlx_dtype(feature.dtype))));
  }
  return ordered;
}

/** Ends a watched call's turn. */
struct Turn {
  explicit Turn(Monitor* monitor) : monitor(monitor) {}
  ~Turn() {
    if (monitor) monitor->finish();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  Monitor* monitor;
};

}  // namespace

const LoadedFunction& Model::named(const char* name) const {
  if (const LoadedFunction* found = find(name)) return *found;
  std::string known;
  for (const LoadedFunction& each : functions_)
    known += (known.empty() ? "" : ", ") + quoted(each.program->name);
  refuse(TT_ERROR_INVALID_ARGUMENT,
         {"", "no function " + quoted(name ? name : ""), "", known, "Name one of them or none."});
}

LoadedFunction& Model::runnable(const char* name) {
  return functions_[static_cast<size_t>(&named(name) - functions_.data())];
}

Result Model::predict(const Request& request) {
  LoadedFunction& function = runnable(request.function);
  State::Use use(request.state);
  check_state(*this, function, request.state);
  package_.require_whole();
  std::optional<Monitor> monitor;
  if (request.progress || request.collects_statistics) {
    monitor.emplace(*function.program, request.collects_statistics);
  }
  std::function<bool()> wanted;
  if (request.progress) {
    wanted = [&] {
      bool stop = is_unwanted(request, monitor->fraction());
      if (stop) monitor->cancel();
      return !stop;
    };
    wanted();
    monitor->refuse_if_cancelled();
  }
  Result result;
  auto job = [&] { result = run(function, request, monitor ? &*monitor : nullptr); };
  if (!function.is_small || !in_engines_place(job)) on_engine_thread(job, wanted);
  if (request.progress) is_unwanted(request, 1);
  return result;
}

Result Model::run(LoadedFunction& function, const Request& request, Monitor* monitor) {
  Result result;
  Turn turn(monitor);
  try {
    if (monitor) monitor->start();
    Frame frame{function.constants, function.memories, std::vector<Value>(function.constants.size()),
                monitor};
    frame.available_bytes = request.memory_limit;
    if (monitor) monitor->before();
    bind(function, request, frame);
    if (monitor) monitor->after("(inputs)", inputs_of(function, frame));
    std::vector<array> outputs = execute_block(function.program->block, {}, frame);
    std::vector<array> kept;
    for (int slot : function.state_slots) kept.push_back(*frame.values[static_cast<size_t>(slot)].tensor);
    frame.values.clear();
    if (monitor) monitor->before();
    std::vector<array> ordered = in_described_order(function, outputs);
    outputs.clear();
    std::vector<array> wanted = ordered;
    wanted.insert(wanted.end(), kept.begin(), kept.end());
    compute(std::move(wanted));
    for (size_t i = 0; i < ordered.size(); ++i) {
      const Feature& feature = function.outputs[i];
      result.names.push_back(feature.name);
      result.dtypes.push_back(feature.image ? image_dtype(*feature.image) : feature.dtype);
      result.tensors.push_back(owned_contiguous(ordered[i]));
    }
    for (array& state : kept) state = owned_contiguous(state);
    if (monitor) monitor->after("(outputs)", ordered);
    ordered.clear();
    if (monitor) monitor->refuse_if_cancelled();
    if (request.state) request.state->replace(std::move(kept));
    if (request.collects_statistics) {
      result.statistics = monitor->statistics();
      result.statistics->set("weight_bytes", Json::integer(static_cast<long long>(package_.weight_bytes())));
    }
  } catch (...) {
    // What ops kept may hang on the graph that failed.
    for (OpMemory& memory : function.memories) memory.clear();
    if (monitor) monitor->refuse_if_cancelled();  // what failed may have read what was left out
    rethrow_as_refusal("function " + quoted(function.program->name));
  }
  return result;
}

}  // namespace tintype
