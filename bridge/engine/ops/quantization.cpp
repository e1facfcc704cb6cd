#include "kernels/elements.h"
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

array zero_point(Call& call, const array& x) {
  return call.has("zero_point") ? along_axis(call, "zero_point", x) : array(0.0f);
}

array dequantize(Call& call) {
  using kernels::Element;
  const array& given = call.tensor("input");
  array scale = along_axis(call, "scale", given), zero = zero_point(call, given);
  for (Element op : {Element::kDequantize, Element::kDequantizeUnsigned}) {
    if (auto y = kernels::element(op, {given, scale, zero}, call.float_dtype())) return *y;
  }
  array x = mx::astype(call.tensor("input"), mx::float32);
  if (call.has("zero_point")) x = mx::subtract(x, along_axis(call, "zero_point", x));
  return mx::multiply(x, along_axis(call, "scale", x));
}

array quantize(Call& call) {
  const array& given = call.tensor("input");
  bool is_signed = call.output_dtype() == mx::int8;
  float lowest = is_signed ? -128.0f : 0.0f, highest = is_signed ? 127.0f : 255.0f;
  auto by_kernel = kernels::element(kernels::Element::kQuantize,
                                    {given, along_axis(call, "scale", given), zero_point(call, given)},
                                    is_signed ? mx::int8 : mx::uint8, lowest, highest);
  if (by_kernel) return *by_kernel;
  array x = mx::astype(given, mx::float32);
  array y = mx::round(mx::divide(x, along_axis(call, "scale", x)));
  if (call.has("zero_point")) y = mx::add(y, along_axis(call, "zero_point", x));
  return mx::clip(y, array(lowest), array(highest));
}

}  // namespace

OpTable quantization_ops() {
  return {
      {"dequantize", dequantize, "input zero_point? scale axis?"},
      {"quantize", quantize, "input zero_point? scale axis? output_dtype"},
  };
}

}  // namespace tintype
