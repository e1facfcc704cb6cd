#include <cmath>

#include "kernels/elements.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

// One function of x from the stored type to the declared one.
array curve(Call& call, kernels::Unary op, double a = 0, double b = 0) {
  return kernels::unary(op, call.tensor("x"), call.output_dtype(), static_cast<float>(a),
                        static_cast<float>(b), {call.is_only_reader("x")});
}

using kernels::Element;
using kernels::Unary;

// The same of the elements; nothing where the engine does not compute them.
std::optional<array> element(Call& call, Element op, double a = 0, double b = 0) {
  return kernels::element(op, {call.tensor("x")}, call.float_dtype(), static_cast<float>(a),
                          static_cast<float>(b));
}

array clamped_relu(Call& call) {
  if (auto y = element(call, Element::kClampedRelu, call.number("alpha"), call.number("beta"))) return *y;
  array x = call.wide("x"), zero = scalar_like(0, x);
  array leaky = mx::where(mx::less(x, zero), mx::multiply(x, scalar_like(call.number("alpha"), x)), x);
  return mx::minimum(leaky, scalar_like(call.number("beta"), x));
}

array elu(Call& call) {
  if (auto y = element(call, Element::kElu, call.number("alpha"))) return *y;
  array x = call.wide("x"), zero = scalar_like(0, x);
  array below = mx::multiply(scalar_like(call.number("alpha"), x), mx::expm1(mx::minimum(x, zero)));
  return mx::where(mx::greater(x, zero), x, below);
}

array sigmoid_linear(const array& x, double scale) {
  return mx::multiply(x, mx::sigmoid(mx::multiply(x, scalar_like(scale, x))));
}

array gelu(Call& call) {
  std::string mode = call.text_or("mode", "EXACT");
  if (call.is_ours({"x"})) {
    if (mode == "EXACT") return curve(call, Unary::kGelu);
    if (mode == "TANH_APPROXIMATION") return curve(call, Unary::kGeluTanh);
    if (mode == "SIGMOID_APPROXIMATION") return curve(call, Unary::kSigmoidLinear, 1.702);
  }
  array x = call.wide("x"), half = scalar_like(0.5, x), one = scalar_like(1, x);
  if (mode == "EXACT") {
    array erf = mx::erf(mx::multiply(x, scalar_like(std::sqrt(0.5), x)));
    return mx::multiply(mx::multiply(x, half), mx::add(erf, one));
  }
  if (mode == "TANH_APPROXIMATION") {
    array cubic = mx::multiply(mx::multiply(mx::square(x), x), scalar_like(0.044715, x));
    // (1 + tanh(z)) / 2 is sigmoid(2 z).
    array doubled = mx::multiply(mx::add(x, cubic), scalar_like(2 * std::sqrt(2 / M_PI), x));
    return mx::multiply(x, kernels::sigmoid(doubled));
  }
  if (mode == "SIGMOID_APPROXIMATION") return sigmoid_linear(x, 1.702);
  call.fail("unknown mode", mode, "EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION");
}

array leaky_relu(Call& call) {
  if (call.is_ours({"x"})) return curve(call, Unary::kLeakyRelu, call.number("alpha"));
  array x = call.wide("x");
  return mx::where(mx::less(x, scalar_like(0, x)), mx::multiply(x, scalar_like(call.number("alpha"), x)), x);
}

array linear_activation(Call& call) {
  if (call.is_ours({"x"})) return curve(call, Unary::kAffine, call.number("alpha"), call.number("beta"));
  array x = call.wide("x");
  return mx::add(mx::multiply(x, scalar_like(call.number("alpha"), x)), scalar_like(call.number("beta"), x));
}

// A parameter [C] that belongs to axis 1 of x.
array per_channel(Call& call, const char* name, const array& x) {
  mx::Shape shape(x.ndim(), 1);
  if (x.ndim() < 2) call.fail("x needs a channel axis", "rank " + std::to_string(x.ndim()), "at least 2");
  shape[1] = static_cast<int>(call.tensor(name).size());
  if (shape[1] != 1) check_count(call, name, x.shape(1), "channel");
  return mx::reshape(call.wide(name), shape);
}

array prelu(Call& call) {
  array x = call.wide("x"), alpha = per_channel(call, "alpha", x);
  if (auto y = kernels::element(Element::kPrelu, {call.tensor("x"), alpha}, call.float_dtype())) return *y;
  return mx::where(mx::less(x, scalar_like(0, x)), mx::multiply(x, alpha), x);
}

array relu(Call& call) {
  if (call.is_ours({"x"})) return curve(call, Unary::kRelu);
  const array& x = call.tensor("x");
  return mx::maximum(x, scalar_like(0, x));
}

array relu6(Call& call) {
  if (call.is_ours({"x"})) return curve(call, Unary::kClip, 0, 6);
  const array& x = call.tensor("x");
  return mx::minimum(mx::maximum(x, scalar_like(0, x)), scalar_like(6, x));
}

array scaled_tanh(Call& call) {
  if (auto y = element(call, Element::kScaledTanh, call.number("alpha"), call.number("beta"))) return *y;
  array x = call.wide("x");
  array inner = mx::tanh(mx::multiply(x, scalar_like(call.number("beta"), x)));
  return mx::multiply(inner, scalar_like(call.number("alpha"), x));
}

array sigmoid(Call& call) {
  return call.is_ours({"x"}) ? curve(call, Unary::kSigmoid) : mx::sigmoid(call.wide("x"));
}

array sigmoid_hard(Call& call) {
  if (auto y = element(call, Element::kSigmoidHard, call.number("alpha"), call.number("beta"))) return *y;
  array x = call.wide("x");
  array line =
      mx::add(mx::multiply(x, scalar_like(call.number("alpha"), x)), scalar_like(call.number("beta"), x));
  return mx::minimum(mx::maximum(line, scalar_like(0, x)), scalar_like(1, x));
}

array silu(Call& call) {
  return call.is_ours({"x"}) ? curve(call, Unary::kSigmoidLinear, 1) : sigmoid_linear(call.wide("x"), 1);
}

array softmax(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", -1, x.ndim());
  if (call.is_ours({"x"}) && x.shape(axis) > 0) return kernels::softmax(x, axis, call.output_dtype());
  return mx::softmax(call.wide("x"), axis, /*precise=*/true);
}

array softplus(Call& call) {
  if (call.is_ours({"x"})) return curve(call, Unary::kSoftplus);
  array x = call.wide("x");
  return mx::logaddexp(x, scalar_like(0, x));
}

array softplus_parametric(Call& call) {
  using kernels::Binary;
  array x = call.wide("x"), alpha = per_channel(call, "alpha", x), beta = per_channel(call, "beta", x);
  if (kernels::is_ours(x)) {
    array steep = kernels::binary(Binary::kMul, x, beta, mx::float32);
    array inner = kernels::unary(Unary::kSoftplus, steep, mx::float32, 0, 0, {true});
    return kernels::binary(Binary::kMul, inner, alpha, mx::float32, {true});
  }
  array inner = mx::logaddexp(mx::multiply(x, beta), scalar_like(0, x));
  return mx::multiply(alpha, inner);
}

array softsign(Call& call) {
  if (auto y = element(call, Element::kSoftsign)) return *y;
  array x = call.wide("x");
  return mx::divide(x, mx::add(mx::abs(x), scalar_like(1, x)));
}

array thresholded_relu(Call& call) {
  if (auto y = element(call, Element::kThresholdedRelu, call.number("alpha"))) return *y;
  const array& x = call.tensor("x");
  return mx::where(mx::less(x, scalar_like(call.number("alpha"), x)), scalar_like(0, x), x);
}

}  // namespace

OpTable activation_ops() {
  return {
      {"clamped_relu", clamped_relu, "x alpha beta"},
      {"elu", elu, "x alpha"},
      {"gelu", gelu, "x mode?"},
      {"leaky_relu", leaky_relu, "x alpha"},
      {"linear_activation", linear_activation, "x alpha beta"},
      {"prelu", prelu, "x alpha"},
      {"relu", relu, "x"},
      {"relu6", relu6, "x"},
      {"scaled_tanh", scaled_tanh, "x alpha beta"},
      {"sigmoid", sigmoid, "x"},
      {"sigmoid_hard", sigmoid_hard, "x alpha beta"},
      {"silu", silu, "x"},
      {"softmax", softmax, "x axis?"},
      {"softplus", softplus, "x"},
      {"softplus_parametric", softplus_parametric, "x alpha beta"},
      {"softsign", softsign, "x"},
      {"thresholded_relu", thresholded_relu, "x alpha"},
  };
}

}  // namespace tintype
