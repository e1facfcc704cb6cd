#include "run/state.h"

#include "mlx/mlx.h"
#include "ops/call.h"
#include "run/available_memory.h"
#include "run/engine_thread.h"
#include "run/memory.h"
#include "support/error.h"

namespace tintype {

namespace {

mx::Shape shape_of(const Feature& feature) {
  return mx::Shape(feature.shape.begin(), feature.shape.end());
}

tt_tensor describe_array(const array& x) {
  return row_contiguous_tensor(x.data<char>(), x.shape());
}

// Zeros are written at once, so a system that promises more than it has would end the process.
void check_memory(const std::vector<Feature>& features) {
  uint64_t bytes = 0;
  for (const Feature& feature : features) {
    TensorType type{feature.dtype, false, feature.shape};
    bytes += static_cast<uint64_t>(type.elements()) * mx::size_of(mlx_dtype(feature.dtype));
    if (!fits_in_memory(bytes)) {
      refuse(TT_ERROR_OUT_OF_MEMORY,
             {"state " + quoted(feature.name), "the states are larger than memory", describe(type),
              "at most " + std::to_string(available_memory() >> 20) + " MiB in all",
              "Close other programs, or use a smaller model."});
    }
  }
}

bool same(const Feature& a, const Feature& b) {
  return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape;
}

}  // namespace

State::State(const Model& model, const LoadedFunction& function)
    : model_(model.identity()), features_(function.states) {
  check_memory(features_);
  on_engine_thread([&] {
    try {
      for (const Feature& feature : features_) {
        values_.push_back(owned_contiguous(mx::zeros(shape_of(feature), mlx_dtype(feature.dtype))));
      }
    } catch (...) {
      rethrow_as_refusal("states");
    }
  });
}

void State::check(const Model& model, const LoadedFunction& function) const {
  bool fits = model_ == model.identity() && features_.size() == function.states.size();
  for (size_t i = 0; fits && i < features_.size(); ++i) fits = same(features_[i], function.states[i]);
  if (!fits) {
    refuse(TT_ERROR_INVALID_ARGUMENT,
           {"function " + quoted(function.program->name), "the state is of another model or function", "", "",
            "Make one for this function."});
  }
}

void State::replace(std::vector<array> values) {
  values_ = std::move(values);
  for (array& value : values_) {
    // An output or a constant may share the memory, and this one is written to through `view`.
    if (!value.is_donatable()) value = copied_array(describe_array(value), value.dtype());
  }
}

void State::view(const std::string& name, tt_tensor& tensor) {
  for (size_t i = 0; i < features_.size(); ++i) {
    if (features_[i].name != name) continue;
    tensor = describe_array(values_[i]);
    tensor.name = features_[i].name.c_str();
    tensor.dtype = abi_dtype(features_[i].dtype);
    return;
  }
  std::string known;
  for (const Feature& feature : features_) known += (known.empty() ? "" : ", ") + quoted(feature.name);
  refuse(TT_ERROR_INVALID_ARGUMENT, {"", "no state " + quoted(name), "", known.empty() ? "none" : known});
}

State::Use::Use(State* state) : state_(state) {
  if (state_ && state_->busy_.exchange(true)) {
    refuse(TT_ERROR_INVALID_ARGUMENT,
           {"", "the state is in use by another call", "", "", "Wait for it, or make a state for each."});
  }
}

State::Use::~Use() {
  if (state_) state_->busy_ = false;
}

}  // namespace tintype
