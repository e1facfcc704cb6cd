#include "kernels/elements.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/integers.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

using Function = array (*)(const array&, const array&, mx::StreamOrDevice);
using kernels::Binary;
using kernels::Element;

// Floats or int32 by the engine, else MLX's function.
template <Binary op, Element of_integers, Function function>
array apply(Call& call) {
  check_broadcast(call, {"x", "y"});
  if (call.is_ours({"x", "y"}))
    return kernels::binary(op, call.tensor("x"), call.tensor("y"), call.output_dtype(),
                           {call.is_only_reader("x"), call.is_only_reader("y")});
  if (auto z = kernels::element(of_integers, {call.tensor("x"), call.tensor("y")}, mx::int32)) return *z;
  return function(call.wide("x"), call.wide("y"), {});
}

// Comparisons give the same answer in any type: no conversion.
template <Element of_floats, Element of_integers, Function function>
array compare(Call& call) {
  check_broadcast(call, {"x", "y"});
  const array &x = call.tensor("x"), &y = call.tensor("y");
  auto z = kernels::element(of_floats, {x, y}, mx::bool_);
  if (!z) z = kernels::element(of_integers, {x, y}, mx::bool_);
  return z ? *z : function(x, y, {});
}

// x > y is y < x.
template <Element of_floats, Element of_integers, Function function>
array compare_turned(Call& call) {
  check_broadcast(call, {"x", "y"});
  const array &x = call.tensor("x"), &y = call.tensor("y");
  auto z = kernels::element(of_floats, {y, x}, mx::bool_);
  if (!z) z = kernels::element(of_integers, {y, x}, mx::bool_);
  return z ? *z : function(x, y, {});
}

template <Element op, Function function>
array apply_logical(Call& call) {
  check_broadcast(call, {"x", "y"});
  const array &x = call.tensor("x"), &y = call.tensor("y");
  auto z = kernels::element(op, {x, y}, mx::bool_);
  return z ? *z : function(x, y, {});
}

array divide(const array& x, const array& y, mx::StreamOrDevice) {
  return are_integers(x, y) ? divide_truncating(x, y) : mx::divide(x, y);
}

// Integers are divided as such; the conversion to the declared type would round their quotient towards zero.
array real_div(Call& call) {
  return apply<Binary::kDiv, Element::kIntDiv, divide>(call);
}

// Numpy's: a quotient that is rounded before it is floored may be one too large (1 / 0.1f).
array floor_of_quotient(const array& x, const array& y) {
  array zero = scalar_like(0, x), one = scalar_like(1, x), rest = mx::remainder(x, y);
  array quotient = mx::divide(mx::subtract(x, rest), y), floor = mx::floor(quotient);
  floor =
      mx::where(mx::greater(mx::subtract(quotient, floor), scalar_like(0.5, x)), mx::add(floor, one), floor);
  // The remainder of a number and an infinity of the other sign is infinite.
  array is_small = mx::logical_and(mx::isinf(y), mx::isfinite(x));
  array below = mx::less(mx::multiply(mx::sign(x), mx::sign(y)), zero);
  floor = mx::where(is_small, mx::where(below, mx::negative(one), zero), floor);
  return mx::where(mx::equal(y, zero), mx::divide(x, y), floor);
}

std::optional<array> by_kernel(Call& call, Element of_floats, Element of_integers) {
  check_broadcast(call, {"x", "y"});
  const array &x = call.tensor("x"), &y = call.tensor("y");
  auto z = kernels::element(of_floats, {x, y}, call.float_dtype());
  return z ? z : kernels::element(of_integers, {x, y}, mx::int32);
}

array floor_div(Call& call) {
  if (auto z = by_kernel(call, Element::kFloorDiv, Element::kIntFloorDiv)) return *z;
  array x = call.wide("x"), y = call.wide("y");
  if (are_integers(x, y)) return divide_floor(x, y).quotient;
  return floor_of_quotient(x, y);
}

array mod(Call& call) {
  if (auto z = by_kernel(call, Element::kMod, Element::kIntMod)) return *z;
  array x = call.wide("x"), y = call.wide("y");
  if (are_integers(x, y)) return divide_floor(x, y).remainder;
  return mx::remainder(x, y);
}

// A constant exponent whose power is one of the engine's functions.
std::optional<array> known_power(Call& call) {
  if (!call.is_ours({"x"}) || !call.is_constant("y") || call.tensor("y").ndim() > call.tensor("x").ndim() ||
      call.tensor("y").size() != 1 || call.tensor("x").size() == 0)
    return std::nullopt;
  double exponent = call.number("y");
  if (exponent != 1 && exponent != 2 && exponent != -1) return std::nullopt;
  kernels::Unary op = exponent == 2   ? kernels::Unary::kSquare
                      : exponent == 1 ? kernels::Unary::kCopy
                                      : kernels::Unary::kInverse;
  return kernels::unary(op, call.tensor("x"), call.output_dtype(), 0, 0, {call.is_only_reader("x")});
}

// MLX squares and multiplies integers, which never ends on a negative exponent. 0 to one is 0, as a quotient
// by 0.
array pow(Call& call) {
  check_broadcast(call, {"x", "y"});
  if (auto y = known_power(call)) return *y;
  if (auto z = by_kernel(call, Element::kPow, Element::kIntPow)) return *z;
  array x = call.wide("x"), y = call.wide("y");
  if (!are_integers(x, y)) return mx::power(x, y);
  array zero(0, y.dtype());
  array exact = mx::power(x, mx::maximum(y, zero));
  array fraction = mx::power(mx::astype(x, mx::float32), mx::astype(y, mx::float32));
  fraction = mx::where(mx::equal(x, array(0, x.dtype())), array(0, mx::float32), fraction);
  return mx::where(mx::less(y, zero), mx::astype(fraction, exact.dtype()), exact);
}

}  // namespace

OpTable elementwise_binary_ops() {
  return {
      {"add", apply<Binary::kAdd, Element::kIntAdd, mx::add>, "x y"},
      {"equal", compare<Element::kEqual, Element::kIntEqual, mx::equal>, "x y"},
      {"floor_div", floor_div, "x y"},
      {"greater", compare_turned<Element::kLess, Element::kIntLess, mx::greater>, "x y"},
      {"greater_equal", compare_turned<Element::kLessEqual, Element::kIntLessEqual, mx::greater_equal>,
       "x y"},
      {"less", compare<Element::kLess, Element::kIntLess, mx::less>, "x y"},
      {"less_equal", compare<Element::kLessEqual, Element::kIntLessEqual, mx::less_equal>, "x y"},
      {"logical_and", apply_logical<Element::kAnd, mx::logical_and>, "x y"},
      {"logical_or", apply_logical<Element::kOr, mx::logical_or>, "x y"},
      {"logical_xor", apply_logical<Element::kXor, mx::not_equal>, "x y"},
      {"maximum", apply<Binary::kMax, Element::kIntMax, mx::maximum>, "x y"},
      {"minimum", apply<Binary::kMin, Element::kIntMin, mx::minimum>, "x y"},
      {"mod", mod, "x y"},
      {"mul", apply<Binary::kMul, Element::kIntMul, mx::multiply>, "x y"},
      {"not_equal", compare<Element::kNotEqual, Element::kIntNotEqual, mx::not_equal>, "x y"},
      {"pow", pow, "x y"},
      {"real_div", real_div, "x y"},
      {"sub", apply<Binary::kSub, Element::kIntSub, mx::subtract>, "x y"},
  };
}

}  // namespace tintype
