#include "kernels/integer_matmul.h"
#include "kernels/primitives.h"
#include "mlx/einsum.h"
#include "ops/call.h"
#include "ops/integers.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/shapes.h"
#include "support/error.h"

namespace tintype {

namespace {

// A matrix in the type that kernels::matmul reads: as it is stored where that is ours.
array factor(Call& call, std::string_view name) {
  return kernels::is_ours(call.tensor(name)) ? call.tensor(name) : call.wide(name);
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
  check_count(call, "bias", weight.shape(0), "row of weight");
  if (are_integers(x, weight)) {
    array y = kernels::multiply_integers(x, mx::swapaxes(weight, 0, 1));
    return call.has("bias") ? mx::add(y, call.tensor("bias")) : y;
  }
  return kernels::linear(x, weight, call.wide_or_none("bias"), product_dtype(call, x, weight));
}

array maybe_transposed(const array& x, bool transpose) {
  return transpose && x.ndim() >= 2 ? mx::swapaxes(x, -1, -2) : x;
}

array matmul(Call& call) {
  array x = maybe_transposed(factor(call, "x"), call.flag_or("transpose_x", false));
  array y = maybe_transposed(factor(call, "y"), call.flag_or("transpose_y", false));
  bool fits = x.ndim() > 0 && y.ndim() > 0 && x.shape(-1) == y.shape(y.ndim() > 1 ? -2 : -1);
  if (!fits) {
    call.fail("x and y do not fit", describe_shape(x.shape()) + " and " + describe_shape(y.shape()),
              "[..., m, k] and [..., k, n] once they are transposed");
  }
  auto leading = [](const array& m) {
    return mx::Shape(m.shape().begin(), m.shape().end() - std::min<ptrdiff_t>(2, m.shape().size()));
  };
  check_broadcast(call, "the leading axes of x and y", leading(x), leading(y));
  if (are_integers(x, y)) return kernels::multiply_integers(x, y);
  return kernels::matmul(x, y, std::nullopt, product_dtype(call, x, y));
}

// Every value has an axis for each of its letters. MLX's own dots stand for any number of axes.
void check_equation(Call& call, const std::string& equation, const std::vector<array>& values) {
  std::string shapes;
  for (const array& value : values) shapes += (shapes.empty() ? "" : ", ") + describe_shape(value.shape());
  std::vector<int64_t> lengths(256, -1);
  size_t letters = 0, number = 0;
  bool fits = true, dotted = equation.find('.') != std::string::npos;
  auto ends = [&] { fits = fits && number < values.size() && values[number].ndim() == letters; };
  for (size_t i = 0; i < equation.size() && equation.compare(i, 2, "->") != 0; ++i) {
    char letter = equation[i];
    if (letter == ' ') continue;
    if (letter == ',') {
      ends(), ++number, letters = 0;
      continue;
    }
    if (!fits || number >= values.size() || letters >= values[number].ndim()) {
      fits = false;
      break;
    }
    int64_t length = values[number].shape(static_cast<int>(letters++));
    int64_t& known = lengths[static_cast<unsigned char>(letter)];
    fits = known < 0 || known == length;
    known = length;
  }
  if (fits) ends();
  if (!dotted && (!fits || number + 1 != values.size()))
    call.fail("the equation does not fit the values", quoted(equation) + " and " + shapes,
              "a letter for each axis, and the same length for the same letter");
}

array einsum(Call& call) {
  std::vector<array> values;
  for (const array& value : call.tensors("values"))
    values.push_back(kernels::is_ours(value) ? value : widened(value));
  std::string equation = call.text("equation");
  check_equation(call, equation, values);
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
