#include <cmath>

#include "kernels/elements.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/integers.h"
#include "ops/registry.h"

namespace tintype {

namespace {

using Function = array (*)(const array&, mx::StreamOrDevice);
using kernels::Element;
using kernels::Unary;

array ours(Call& call, Unary op, double a = 0, double b = 0) {
  return kernels::unary(op, call.tensor("x"), call.output_dtype(), static_cast<float>(a),
                        static_cast<float>(b), {call.is_only_reader("x")});
}

// One of the engine's functions where it computes, else MLX's.
template <Unary op, Function function>
array apply(Call& call) {
  return call.is_ours({"x"}) ? ours(call, op) : function(call.wide("x"), {});
}

// The same of floats or of integers.
template <Unary op, Element of_integers, Function function>
array apply(Call& call) {
  if (auto y = kernels::element(of_integers, {call.tensor("x")}, mx::int32)) return *y;
  return apply<op, function>(call);
}

array cast(Call& call) {
  const array& x = call.tensor("x");
  mx::Dtype dtype = call.output_dtype();
  if (mx::issubdtype(x.dtype(), mx::floating) && mx::issubdtype(dtype, mx::integer)) {
    if (auto y = kernels::element(Element::kFloatToInt, {x}, dtype)) return *y;
    return saturated(x, dtype);
  }
  return kernels::cast(x, dtype, {call.is_only_reader("x")});
}

// Of the type of x: what these give needs no more digits than they were given.
template <Element op, Function function>
array apply_as_stored(Call& call) {
  const array& x = call.tensor("x");
  auto y = kernels::element(op, {x}, x.dtype());
  return y ? *y : function(x, {});
}

array round_to_even(const array& x, mx::StreamOrDevice) {
  return mx::round(x);
}

array square(Call& call) {
  const array& x = call.tensor("x");
  auto y = kernels::element(Element::kIntMul, {x, x}, mx::int32);
  return y ? *y : apply<Unary::kSquare, mx::square>(call);
}

array clip(Call& call) {
  if (call.is_ours({"x"})) return ours(call, Unary::kClip, call.number("alpha"), call.number("beta"));
  array x = call.tensor("x");
  return mx::minimum(mx::maximum(x, scalar_like(call.number("alpha"), x)),
                     scalar_like(call.number("beta"), x));
}

array exp2(Call& call) {
  if (call.is_ours({"x"})) return ours(call, Unary::kExp2);
  array x = call.wide("x");
  return mx::power(scalar_like(2, x), x);
}

array inverse(Call& call) {
  if (call.is_ours({"x"})) return ours(call, Unary::kInverse, call.number_or("epsilon", 1e-4));
  array x = call.wide("x");
  return mx::reciprocal(mx::add(x, scalar_like(call.number_or("epsilon", 1e-4), x)));
}

array log(Call& call) {
  if (call.is_ours({"x"})) return ours(call, Unary::kLog, call.number_or("epsilon", 1e-45));
  array x = call.wide("x");
  return mx::log(mx::add(x, scalar_like(call.number_or("epsilon", 1e-45), x)));
}

array rsqrt(Call& call) {
  if (call.is_ours({"x"})) return ours(call, Unary::kRsqrt, call.number_or("epsilon", 1e-12));
  array x = call.wide("x");
  return mx::rsqrt(mx::add(x, scalar_like(call.number_or("epsilon", 1e-12), x)));
}

array sign(Call& call) {
  const array& given = call.tensor("x");
  if (auto y = kernels::element(Element::kIntSign, {given}, mx::int32)) return *y;
  if (auto y = kernels::element(Element::kSign, {given}, call.float_dtype())) return *y;
  array x = call.wide("x"), sign = mx::sign(x);  // MLX's is 0 for what is no number
  return mx::issubdtype(x.dtype(), mx::inexact) ? mx::where(mx::isnan(x), x, sign) : sign;
}

array threshold(Call& call) {
  const array& x = call.tensor("x");
  double alpha = call.number("alpha");
  auto y = kernels::element(Element::kThreshold, {x}, call.float_dtype(), static_cast<float>(alpha));
  return y ? *y : mx::maximum(x, scalar_like(alpha, x));
}

}  // namespace

OpTable elementwise_unary_ops() {
  return {
      {"abs", apply<Unary::kAbs, Element::kIntAbs, mx::abs>, "x"},
      {"acos", apply<Unary::kAcos, mx::arccos>, "x"},
      {"asin", apply<Unary::kAsin, mx::arcsin>, "x"},
      {"atan", apply<Unary::kAtan, mx::arctan>, "x"},
      {"atanh", apply<Unary::kAtanh, mx::arctanh>, "x"},
      {"cast", cast, "x dtype"},
      {"ceil", apply_as_stored<Element::kCeil, mx::ceil>, "x"},
      {"clip", clip, "x alpha beta"},
      {"cos", apply<Unary::kCos, mx::cos>, "x"},
      {"cosh", apply<Unary::kCosh, mx::cosh>, "x"},
      {"erf", apply<Unary::kErf, mx::erf>, "x"},
      {"exp", apply<Unary::kExp, mx::exp>, "x"},
      {"exp2", exp2, "x"},
      {"floor", apply_as_stored<Element::kFloor, mx::floor>, "x"},
      {"inverse", inverse, "x epsilon?"},
      {"log", log, "x epsilon?"},
      {"logical_not", apply_as_stored<Element::kNot, mx::logical_not>, "x"},
      {"round", apply_as_stored<Element::kRound, round_to_even>, "x"},
      {"rsqrt", rsqrt, "x epsilon?"},
      {"sign", sign, "x"},
      {"sin", apply<Unary::kSin, mx::sin>, "x"},
      {"sinh", apply<Unary::kSinh, mx::sinh>, "x"},
      {"sqrt", apply<Unary::kSqrt, mx::sqrt>, "x"},
      {"square", square, "x"},
      {"tan", apply<Unary::kTan, mx::tan>, "x"},
      {"tanh", apply<Unary::kTanh, mx::tanh>, "x"},
      {"threshold", threshold, "x alpha"},
  };
}

}  // namespace tintype
