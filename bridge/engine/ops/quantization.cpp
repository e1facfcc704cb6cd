#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

// scale and zero_point are scalars, or vectors along `axis`.
array along_axis(Call& call, const char* name, const array& x) {
  array parameter = mx::astype(call.tensor(name), mx::float32);
  if (parameter.ndim() == 0) return parameter;
  mx::Shape shape(x.ndim(), 1);
  shape[call.axis_or("axis", 0, x.ndim())] = static_cast<int>(parameter.size());
  return mx::reshape(parameter, shape);
}

array dequantize(Call& call) {
  array x = mx::astype(call.tensor("input"), mx::float32);
  if (call.has("zero_point")) x = mx::subtract(x, along_axis(call, "zero_point", x));
  return mx::multiply(x, along_axis(call, "scale", x));
}

array quantize(Call& call) {
  array x = mx::astype(call.tensor("input"), mx::float32);
  array y = mx::round(mx::divide(x, along_axis(call, "scale", x)));
  if (call.has("zero_point")) y = mx::add(y, along_axis(call, "zero_point", x));
  bool is_signed = call.output_dtype() == mx::int8;
  return mx::clip(y, array(is_signed ? -128.0f : 0.0f), array(is_signed ? 127.0f : 255.0f));
}

}  // namespace

OpTable quantization_ops() {
  return {
      {"dequantize", dequantize, "input zero_point? scale axis?"},
      {"quantize", quantize, "input zero_point? scale axis? output_dtype"},
  };
}

}  // namespace tintype
