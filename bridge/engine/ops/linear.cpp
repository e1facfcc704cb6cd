#include "kernels/primitives.h"
#include "mlx/einsum.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"

namespace tintype {

namespace {

// Integer products go through float32 (exact below 2^24): MLX multiplies only float matrices.
array as_factor(const array& x) {
  return mx::issubdtype(x.dtype(), mx::inexact) ? x : mx::astype(x, mx::float32);
}

// A matrix in the type that kernels::matmul reads: as it is stored where that is ours.
array factor(Call& call, std::string_view name) {
  return kernels::is_ours(call.tensor(name)) ? call.tensor(name) : as_factor(call.wide(name));
}

// The type of a product: the declared one where the engine computes it.
mx::Dtype product_dtype(Call& call, const array& x, const array& y) {
  return call.is_ours({}) && kernels::is_ours(x) && kernels::is_ours(y) ? call.output_dtype() : mx::float32;
}

array linear(Call& call) {
  array x = factor(call, "x"), weight = factor(call, "weight");  // [out, in]
  if (weight.ndim() != 2 || x.ndim() < 1 || x.shape(-1) != weight.shape(1)) {
    call.fail("x and weight do not fit", describe_shape(x.shape()) + " and " + describe_shape(weight.shape()),
              "[..., in] and [out, in]");
  }
  return kernels::linear(x, weight, call.wide_or_none("bias"), product_dtype(call, x, weight));
}

array maybe_transposed(const array& x, bool transpose) {
  return transpose && x.ndim() >= 2 ? mx::swapaxes(x, -1, -2) : x;
}

array matmul(Call& call) {
  array x = maybe_transposed(factor(call, "x"), call.flag_or("transpose_x", false));
  array y = maybe_transposed(factor(call, "y"), call.flag_or("transpose_y", false));
  return kernels::matmul(x, y, std::nullopt, product_dtype(call, x, y));
}

array einsum(Call& call) {
  std::vector<array> values;
  for (const array& value : call.tensors("values"))
    values.push_back(kernels::is_ours(value) ? value : as_factor(widened(value)));
  std::string equation = call.text("equation");
  // The one equation of Core ML: a matrix product an h.
  if (equation == "nchw,nwhu->nchu" && values.size() == 2 && values[0].ndim() == 4 && values[1].ndim() == 4) {
    array x = mx::swapaxes(values[0], 1, 2), y = mx::swapaxes(values[1], 1, 2);  // n h c w, n h w u
    return mx::swapaxes(kernels::matmul(x, y, std::nullopt, product_dtype(call, x, y)), 1, 2);
  }
  for (array& value : values) value = widened(value);
  return mx::einsum(equation, values);
}

}  // namespace

OpTable linear_ops() {
  return {
      {"einsum", einsum, "values* equation"},
      {"linear", linear, "x weight bias?"},
      {"matmul", matmul, "x y transpose_x? transpose_y?"},
  };
}

}  // namespace tintype
