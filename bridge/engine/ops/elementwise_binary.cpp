#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

using Function = array (*)(const array&, const array&, mx::StreamOrDevice);
using kernels::Binary;

template <Binary op, Function function>
array apply(Call& call) {
  check_broadcast(call, {"x", "y"});
  if (call.is_ours({"x", "y"}))
    return kernels::binary(op, call.tensor("x"), call.tensor("y"), call.output_dtype(),
                           {call.is_only_reader("x"), call.is_only_reader("y")});
  return function(call.wide("x"), call.wide("y"), {});
}

// Comparisons give the same answer in any type: no conversion.
template <Function function>
array compare(Call& call) {
  check_broadcast(call, {"x", "y"});
  return function(call.tensor("x"), call.tensor("y"), {});
}

bool both_integers(const array& x, const array& y) {
  return mx::issubdtype(mx::result_type(x, y), mx::integer);
}

/** Quotient and remainder of floor division; the processor traps on x / 0 and on the lowest value / -1. */
struct Quotient {
  array quotient, remainder;
};

Quotient divide_integers(const array& x, const array& y) {
  array zero(0, y.dtype()), one(1, y.dtype());
  bool is_signed = mx::issubdtype(y.dtype(), mx::signedinteger);
  array by_zero = mx::equal(y, zero);
  array by_minus_one = is_signed ? mx::equal(y, array(-1, y.dtype())) : mx::zeros_like(y, mx::bool_);
  array divisor = mx::where(mx::logical_or(by_zero, by_minus_one), one, y);
  array wraps = mx::remainder(x, divisor);  // has the divisor's sign, as numpy's
  array quotient = mx::floor_divide(mx::subtract(x, wraps), divisor);
  quotient = mx::where(by_minus_one, mx::negative(x), quotient);
  return {mx::where(by_zero, zero, quotient), mx::where(mx::logical_or(by_zero, by_minus_one), zero, wraps)};
}

array floor_div(Call& call) {
  check_broadcast(call, {"x", "y"});
  array x = call.wide("x"), y = call.wide("y");
  if (both_integers(x, y)) return divide_integers(x, y).quotient;
  return mx::floor(mx::divide(x, y));
}

array mod(Call& call) {
  check_broadcast(call, {"x", "y"});
  array x = call.wide("x"), y = call.wide("y");
  if (both_integers(x, y)) return divide_integers(x, y).remainder;
  return mx::remainder(x, y);
}

// MLX squares and multiplies integers, which never ends on a negative exponent.
array pow(Call& call) {
  check_broadcast(call, {"x", "y"});
  array x = call.wide("x"), y = call.wide("y");
  if (!both_integers(x, y)) return mx::power(x, y);
  array zero(0, y.dtype());
  array exact = mx::power(x, mx::maximum(y, zero));
  array fraction = mx::power(mx::astype(x, mx::float32), mx::astype(y, mx::float32));
  return mx::where(mx::less(y, zero), mx::astype(mx::nan_to_num(fraction), exact.dtype()), exact);
}

}  // namespace

OpTable elementwise_binary_ops() {
  return {
      {"add", apply<Binary::kAdd, mx::add>, "x y"},
      {"equal", compare<mx::equal>, "x y"},
      {"floor_div", floor_div, "x y"},
      {"greater", compare<mx::greater>, "x y"},
      {"greater_equal", compare<mx::greater_equal>, "x y"},
      {"less", compare<mx::less>, "x y"},
      {"less_equal", compare<mx::less_equal>, "x y"},
      {"logical_and", compare<mx::logical_and>, "x y"},
      {"logical_or", compare<mx::logical_or>, "x y"},
      {"logical_xor", compare<mx::not_equal>, "x y"},
      {"maximum", apply<Binary::kMax, mx::maximum>, "x y"},
      {"minimum", apply<Binary::kMin, mx::minimum>, "x y"},
      {"mod", mod, "x y"},
      {"mul", apply<Binary::kMul, mx::multiply>, "x y"},
      {"not_equal", compare<mx::not_equal>, "x y"},
      {"pow", pow, "x y"},
      {"real_div", apply<Binary::kDiv, mx::divide>, "x y"},
      {"sub", apply<Binary::kSub, mx::subtract>, "x y"},
  };
}

}  // namespace tintype
