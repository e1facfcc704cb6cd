#include "ops/call.h"

#include "kernels/primitives.h"
#include "ops/precision.h"
#include "ops/shapes.h"
#include "run/compute.h"
#include "run/executor.h"
#include "run/monitor.h"
#include "support/error.h"

namespace tintype {

bool computes_on_cpu() {
  return mx::default_device() == mx::Device::cpu;
}

mx::Dtype mlx_dtype(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return mx::bool_;
    case DType::kFloat16:
      return mx::float16;
    case DType::kFloat32:
      return mx::float32;
    case DType::kFloat64:
      return computes_on_cpu() ? mx::float64 : mx::float32;
    case DType::kBFloat16:
      return mx::bfloat16;
    case DType::kInt4:
    case DType::kInt8:
      return mx::int8;
    case DType::kInt16:
      return mx::int16;
    case DType::kInt32:
      return mx::int32;
    case DType::kInt64:
      return mx::int64;
    case DType::kUInt16:
      return mx::uint16;
    case DType::kUInt32:
      return mx::uint32;
    case DType::kUInt64:
      return mx::uint64;
    case DType::kUInt1:
    case DType::kUInt2:
    case DType::kUInt3:
    case DType::kUInt4:
    case DType::kUInt6:
    case DType::kUInt8:
      return mx::uint8;
    default:
      break;
  }
  refuse(TT_ERROR_UNSUPPORTED, {"", "no tensors of this type", name_of(dtype), "numbers or bools"});
}

std::string describe_shape(const mx::Shape& shape) {
  return describe_shape(std::vector<int64_t>(shape.begin(), shape.end()));
}

mx::Shape to_shape(const std::vector<int>& dimensions) {
  return mx::Shape(dimensions.begin(), dimensions.end());
}

array scalar_like(double value, const array& x) {
  bool narrow = mx::issubdtype(x.dtype(), mx::floating) && x.dtype() != mx::float64;
  return narrow ? array(static_cast<float>(value), x.dtype()) : array(value, x.dtype());
}

namespace {

std::string kind_of(const Value& value) {
  if (value.tensor) return "a tensor";
  return value.strings.size() == 1 ? "a text" : std::to_string(value.strings.size()) + " texts";
}

}  // namespace

void Call::fail(const std::string& problem, const std::string& got, const std::string& expected,
                const std::string& remedy) const {
  refuse(TT_ERROR_RUNTIME, {place_of(operation_), problem, got, expected, remedy});
}

const Argument* Call::find(std::string_view name) const {
  for (const Argument& argument : operation_.arguments) {
    if (argument.name == name) return &argument;
  }
  return nullptr;
}

bool Call::has(std::string_view name) const {
  return find(name) != nullptr;
}

const Value& Call::value(std::string_view name) const {
  const Argument* argument = find(name);
  if (!argument || argument->bindings.empty()) fail("parameter " + quoted(name) + " is missing");
  return frame_.at(argument->bindings.front().slot);
}

bool Call::is_ours(std::initializer_list<std::string_view> names) const {
  if (operation_.outputs.empty() || operation_.outputs[0].type.kind != ValueType::Kind::kTensor) return false;
  DType declared = operation_.outputs[0].type.tensor.dtype;
  if (declared != DType::kFloat16 && declared != DType::kFloat32) return false;
  for (std::string_view name : names) {
    if (!kernels::is_ours(tensor(name))) return false;
  }
  return true;
}

mx::Dtype Call::float_dtype() const {
  return is_ours({}) ? output_dtype() : mx::float32;
}

bool Call::is_constant(std::string_view name) const {
  return has(name) && value(name).is_constant;
}

bool Call::is_given(std::string_view name) const {
  return has(name) && (value(name).is_constant || value(name).is_input);
}

bool Call::is_only_reader(std::string_view name) const {
  const Argument* argument = find(name);
  return argument && !argument->bindings.empty() && argument->bindings.front().is_only_use;
}

const array& Call::tensor(std::string_view name) const {
  const Value& found = value(name);
  if (!found.tensor) fail("parameter " + quoted(name) + " is not a tensor", kind_of(found), "a tensor");
  return *found.tensor;
}

std::vector<array> Call::tensors(std::string_view name) const {
  std::vector<array> all;
  const Argument* argument = find(name);
  if (!argument) fail("parameter " + quoted(name) + " is missing");
  for (const Binding& binding : argument->bindings) {
    const Value& found = frame_.at(binding.slot);
    if (!found.tensor)
      fail("parameter " + quoted(name) + " is not made of tensors", kind_of(found), "tensors");
    all.push_back(*found.tensor);
  }
  return all;
}

array Call::keep(const std::string& key, std::string_view argument, const std::function<array()>& make) {
  if (!is_constant(argument)) return make();
  OpMemory& memory = frame_.memories[static_cast<size_t>(operation_.index)];
  auto found = memory.find(key);
  if (found == memory.end()) found = memory.emplace(key, make()).first;
  return found->second;
}

array Call::wide(std::string_view name) {
  const array& x = tensor(name);
  if (!is_constant(name)) return widened(x);
  return keep("wide " + std::string(name), name, [&] { return widened(x); });
}

std::optional<array> Call::wide_or_none(std::string_view name) {
  if (!has(name)) return std::nullopt;
  return wide(name);
}

namespace {

// Parameters are small; the copy is made so that any integer or float type can be read.
template <typename T>
std::vector<T> read_values(const array& source, mx::Dtype dtype) {
  array x = source.dtype() == dtype ? source : mx::astype(source, dtype);
  if (!x.flags().row_contiguous || !x.is_available()) {
    x = mx::contiguous(x);
    compute({x});
  }
  const T* data = x.data<T>();
  return std::vector<T>(data, data + x.size());
}

}  // namespace

std::vector<int> Call::integers(std::string_view name) const {
  std::vector<int> values;
  for (const array& each : tensors(name)) {
    std::vector<int> part = read_values<int>(each, mx::int32);
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

std::vector<int> Call::integers_or(std::string_view name, std::vector<int> fallback) const {
  return has(name) ? integers(name) : fallback;
}

int Call::integer(std::string_view name) const {
  auto values = integers(name);
  if (values.size() != 1)
    fail("parameter " + quoted(name) + " has a wrong count of values", std::to_string(values.size()), "1");
  return values[0];
}

int Call::integer_or(std::string_view name, int fallback) const {
  return has(name) ? integer(name) : fallback;
}

std::vector<double> Call::numbers(std::string_view name) const {
  return values(tensor(name));
}

std::vector<double> Call::values(const array& x) const {
  if (mx::issubdtype(x.dtype(), mx::integer)) {  // an int32 is more than a float32 holds
    std::vector<int64_t> read = read_values<int64_t>(x, mx::int64);
    return std::vector<double>(read.begin(), read.end());
  }
  std::vector<float> read = read_values<float>(x, mx::float32);
  return std::vector<double>(read.begin(), read.end());
}

double Call::number(std::string_view name) const {
  std::vector<double> read = numbers(name);
  if (read.size() != 1)
    fail("parameter " + quoted(name) + " has a wrong count of values", std::to_string(read.size()), "1");
  return read[0];
}

double Call::number_or(std::string_view name, double fallback) const {
  return has(name) ? number(name) : fallback;
}

std::vector<bool> Call::flags_or(std::string_view name, size_t count, bool fallback) const {
  if (!has(name)) return std::vector<bool>(count, fallback);
  auto values = read_values<bool>(tensor(name), mx::bool_);
  if (values.size() != count) {
    fail("parameter " + quoted(name) + " has a wrong count of values", std::to_string(values.size()),
         std::to_string(count));
  }
  return values;
}

bool Call::flag_or(std::string_view name, bool fallback) const {
  return flags_or(name, 1, fallback)[0];
}

std::string Call::text(std::string_view name) const {
  const Value& found = value(name);
  if (found.strings.size() != 1)
    fail("parameter " + quoted(name) + " is not a text", kind_of(found), "a text");
  return found.strings[0];
}

std::string Call::text_or(std::string_view name, std::string fallback) const {
  return has(name) ? text(name) : fallback;
}

int Call::count(std::string_view name) const {
  const Value& found = value(name);
  return static_cast<int>(found.tensor ? found.tensor->size() : found.strings.size());
}

std::vector<int> Call::lengths(std::string_view name) const {
  std::vector<int> all;
  const Argument* argument = find(name);
  for (size_t i = 0; argument && i < argument->bindings.size(); ++i) {
    const Value& found = frame_.at(argument->bindings[i].slot);
    if (found.tensor)
      for (int length : read_values<int>(*found.tensor, mx::int32)) all.push_back(length);
    else
      all.insert(all.end(), found.strings.size(), -1);
  }
  return all;
}

int Call::checked_axis(std::string_view name, int axis, size_t rank) const {
  int limit = static_cast<int>(rank);
  if (axis < -limit || axis >= limit) {
    fail("parameter " + quoted(name) + " is no axis of the tensor", std::to_string(axis),
         "-" + std::to_string(limit) + " to " + std::to_string(limit - 1));
  }
  return axis < 0 ? axis + limit : axis;
}

int Call::checked_length(int64_t size) const {
  if (size < 0 || size > kLongestDimension) {
    fail("an axis of the result has an impossible length", std::to_string(size),
         "0 to " + std::to_string(kLongestDimension));
  }
  return static_cast<int>(size);
}

int Call::axis_or(std::string_view name, int fallback, size_t rank) const {
  return checked_axis(name, integer_or(name, fallback), rank);
}

std::vector<int> Call::axes_or(std::string_view name, std::vector<int> fallback, size_t rank) const {
  return checked_axes(*this, name, integers_or(name, std::move(fallback)), rank);
}

const TensorType& Call::output_type() const {
  return operation_.outputs.at(0).type.tensor;
}

mx::Dtype Call::output_dtype() const {
  return mlx_dtype(output_type().dtype);
}

void Call::write_state(std::string_view name, const array& data) {
  const Argument* argument = find(name);
  Value& state = frame_.values[static_cast<size_t>(argument->bindings.front().slot)];
  if (!state.is_state || !state.tensor)
    fail("parameter " + quoted(name) + " is no state", "a tensor", "a state");
  if (state.tensor->shape() != data.shape()) {
    fail("the state has another shape", describe_shape(data.shape()), describe_shape(state.tensor->shape()));
  }
  state.tensor = mx::astype(data, state.tensor->dtype());
}

void Call::poll() const {
  if (frame_.monitor) frame_.monitor->refuse_if_cancelled();
}

void Call::require_memory(uint64_t bytes) const {
  uint64_t all = frame_.live_bytes + bytes, most = most_bytes(frame_, all);
  if (all <= most) return;
  refuse(TT_ERROR_OUT_OF_MEMORY, {place_of(operation_), "what it takes is larger than memory",
                                  std::to_string(all >> 20) + " MiB with what is kept for others",
                                  "at most " + std::to_string(most >> 20) + " MiB",
                                  "Close other programs, or use a smaller model or input."});
}

std::vector<array> Call::run_block(size_t index, const std::vector<array>& inputs) {
  return execute_block(operation_.blocks.at(index), inputs, frame_);
}

}  // namespace tintype
