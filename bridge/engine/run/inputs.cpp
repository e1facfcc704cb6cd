// What a caller hands in, checked against the description.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>

#include "kernels/primitives.h"
#include "mlx/mlx.h"
#include "ops/call.h"
#include "run/available_memory.h"
#include "run/images.h"
#include "run/memory.h"
#include "run/model.h"
#include "support/error.h"

namespace tintype {

namespace {

std::string names_of(const std::vector<Feature>& features) {
  std::string text;
  for (const Feature& feature : features) text += (text.empty() ? "" : ", ") + quoted(feature.name);
  return text.empty() ? "none" : text;
}

std::string abi_name(tt_dtype dtype) {
  DType known = dtype_of_abi(dtype);
  return known == DType::kUnused ? "dtype " + std::to_string(dtype) : name_of(known);
}

bool accepts(const Feature& feature, const std::vector<int64_t>& shape) {
  if (!feature.enumerated.empty()) {
    return std::find(feature.enumerated.begin(), feature.enumerated.end(), shape) != feature.enumerated.end();
  }
  if (!feature.ranges.empty()) {
    if (feature.ranges.size() != shape.size()) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
      const DimensionRange& range = feature.ranges[i];
      if (shape[i] < range.lowest || (range.highest >= 0 && shape[i] > range.highest)) return false;
    }
    return true;
  }
  if (shape.size() != feature.shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (feature.shape[i] >= 0 && shape[i] != feature.shape[i]) return false;
  }
  return true;
}

std::string expected_shape(const Feature& feature) {
  if (!feature.enumerated.empty()) {
    std::string text;
    for (size_t i = 0; i < feature.enumerated.size() && i < 8; ++i) {
      text += (i ? " or " : "") + describe_shape(feature.enumerated[i]);
    }
    return text;
  }
  if (feature.ranges.empty()) return describe_shape(feature.shape);
  std::string text = "[";
  for (size_t i = 0; i < feature.ranges.size(); ++i) {
    const DimensionRange& range = feature.ranges[i];
    text += i ? ", " : "";
    text += std::to_string(range.lowest);
    if (range.highest < 0)
      text += " or more";
    else if (range.highest != range.lowest)
      text += " to " + std::to_string(range.highest);
  }
  return text + "]";
}

void check(const Feature& feature, const tt_tensor& tensor) {
  std::string place = "input " + quoted(feature.name);
  if (tensor.dtype != abi_dtype(feature.dtype)) {
    refuse(TT_ERROR_INVALID_ARGUMENT, {place, "wrong dtype", abi_name(tensor.dtype), name_of(feature.dtype),
                                       "Convert the array to " + name_of(feature.dtype) + "."});
  }
  if (tensor.rank < 0 || tensor.rank > TT_MAX_RANK) {
    refuse(TT_ERROR_INVALID_ARGUMENT, {place, "impossible rank", std::to_string(tensor.rank), "0 to 8"});
  }
  std::vector<int64_t> shape(tensor.shape, tensor.shape + tensor.rank);
  int64_t elements = 1;
  for (int64_t& dimension : shape) {
    if (dimension < 0 || dimension > kLongestDimension ||
        (dimension > 0 && elements > kMostElements / dimension)) {
      refuse(TT_ERROR_INVALID_ARGUMENT,
             {place, "impossible shape", describe_shape(shape), expected_shape(feature)});
    }
    elements *= std::max<int64_t>(dimension, 1);
  }
  if (!accepts(feature, shape)) {
    refuse(TT_ERROR_INVALID_ARGUMENT, {place, "wrong shape", describe_shape(shape), expected_shape(feature),
                                       "Reshape the array, or convert the model for this shape."});
  }
  bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (!tensor.data && !empty) refuse(TT_ERROR_INVALID_ARGUMENT, {place, "its data is NULL"});
}

/** Whether arrays of `dtype` can hold it as it is; floats take what is near. */
bool holds(mx::Dtype dtype, double value) {
  if (!mx::issubdtype(dtype, mx::integer)) return true;
  bool is_signed = mx::issubdtype(dtype, mx::signedinteger);
  double end = std::ldexp(1.0, static_cast<int>(8 * mx::size_of(dtype)) - is_signed);
  return value == std::trunc(value) && value >= (is_signed ? -end : 0.0) && value < end;
}

array default_input(const Feature& feature) {
  if (!holds(mlx_dtype(feature.dtype), feature.default_value)) {
    std::ostringstream value;
    value << feature.default_value;
    refuse(TT_ERROR_INVALID_ARGUMENT,
           {"input " + quoted(feature.name), "its default value does not fit its type", value.str(),
            "an " + name_of(feature.dtype), "Give the input."});
  }
  mx::Shape shape;
  uint64_t bytes = mx::size_of(mlx_dtype(feature.dtype));
  for (int64_t dimension : feature.shape) {
    shape.push_back(static_cast<int>(std::max<int64_t>(dimension, 1)));
    bytes *= static_cast<uint64_t>(shape.back());  // at most kMostElements: the reader saw to it
  }
  if (!fits_in_memory(bytes)) {
    refuse(TT_ERROR_OUT_OF_MEMORY,
           {"input " + quoted(feature.name), "its default value is larger than memory",
            describe_shape(feature.shape), "", "Give the input, or use a smaller model."});
  }
  return mx::full(shape, scalar_like(feature.default_value, mx::zeros({}, mlx_dtype(feature.dtype))));
}

// A view may be larger than what it shows: strides of 0 repeat it.
void check_copy(const Feature& feature, const tt_tensor& tensor) {
  std::vector<int64_t> shape(tensor.shape, tensor.shape + tensor.rank);
  auto elements = static_cast<uint64_t>(TensorType{feature.dtype, false, shape}.elements());
  if (fits_in_memory(elements * mx::size_of(mlx_dtype(feature.dtype)))) return;
  refuse(TT_ERROR_OUT_OF_MEMORY,
         {"input " + quoted(feature.name), "its values are no dense array, and a copy is larger than memory",
          describe_shape(shape), "", "Hand in a dense array, or use a smaller input."});
}

// What the caller has as bools may hold other bytes than 0 and 1.
array to_array(const Feature& feature, const tt_tensor& tensor) {
  bool flags = feature.dtype == DType::kBool;
  mx::Dtype dtype = flags ? mx::uint8 : mlx_dtype(feature.dtype);
  if (feature.dtype == DType::kFloat64 && dtype != mx::float64) {
    refuse(TT_ERROR_UNSUPPORTED, {"input " + quoted(feature.name), "this device has no float64"});
  }
  bool aligned = reinterpret_cast<uintptr_t>(tensor.data) % mx::size_of(dtype) == 0;
  if (!is_row_contiguous(tensor) || !aligned || !tensor.data) {
    check_copy(feature, tensor);
    array copy = copied_array(tensor, dtype);
    return flags ? as_bools(copy) : copy;
  }
  mx::Shape shape(tensor.shape, tensor.shape + tensor.rank);
  array x = borrowed_array(tensor.data, shape, dtype, [] {});
  return flags ? as_bools(x) : x;
}

// The caller's tensors in the order of the function's inputs, nullptr where it gives none.
std::vector<const tt_tensor*> in_order(const LoadedFunction& function, const tt_tensor* inputs,
                                       size_t count) {
  std::vector<const tt_tensor*> given(function.inputs.size());
  for (size_t i = 0; i < count; ++i) {
    if (!inputs[i].name) {
      refuse(TT_ERROR_INVALID_ARGUMENT,
             {"", "input " + std::to_string(i) + " has no name", "", names_of(function.inputs)});
    }
    auto place = function.input_places.find(std::string_view(inputs[i].name));
    if (place == function.input_places.end()) {
      refuse(TT_ERROR_INVALID_ARGUMENT, {"input " + quoted(inputs[i].name), "the model has no such input", "",
                                         names_of(function.inputs)});
    }
    if (given[place->second])
      refuse(TT_ERROR_INVALID_ARGUMENT, {"input " + quoted(inputs[i].name), "it is given twice"});
    given[place->second] = &inputs[i];
  }
  return given;
}

}  // namespace

std::vector<array> bind_inputs(const LoadedFunction& function, const tt_tensor* inputs, size_t count) {
  std::vector<const tt_tensor*> all = in_order(function, inputs, count);
  std::vector<array> bound;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const Feature& feature = function.inputs[i];
    const tt_tensor* given = all[i];
    if (!given && !feature.optional) {
      refuse(TT_ERROR_INVALID_ARGUMENT, {"input " + quoted(feature.name), "it is missing", "", "",
                                         "The model needs " + names_of(function.inputs) + "."});
    }
    bool pixels = given && feature.image && given->rank != 4;
    if (given && !pixels) check(feature, *given);
    if (given && !pixels && feature.image) check_image_size(feature, given->shape[3], given->shape[2]);
    array x = pixels  ? image_to_tensor(feature, *given)
              : given ? to_array(feature, *given)
                      : default_input(feature);
    bound.push_back(kernels::cast(x, mlx_dtype(function.input_dtypes[i])));
  }
  return bound;
}

}  // namespace tintype
