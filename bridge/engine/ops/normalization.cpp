#include "kernels/elements.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

// A vector [C] laid along axis 1 of a tensor of rank `rank`.
array along_channels(const array& vector, size_t rank) {
  mx::Shape shape(rank, 1);
  shape[1] = static_cast<int>(vector.size());
  return mx::reshape(vector, shape);
}

// (x - mean) / sqrt(variance + epsilon) over `axes`, in float32.
array normalized(const array& x, const std::vector<int>& axes, double epsilon) {
  array centered = mx::subtract(x, mx::mean(x, axes, true));
  array variance = mx::mean(mx::square(centered), axes, true);
  return mx::multiply(centered, mx::rsqrt(mx::add(variance, scalar_like(epsilon, x))));
}

array scaled_and_shifted(Call& call, array y, bool channels) {
  for (const char* name : {"gamma", "beta"}) {
    if (!call.has(name)) continue;
    array parameter = widened_for_sum(call.wide(name));
    if (channels) parameter = along_channels(parameter, y.ndim());
    y = name[0] == 'g' ? mx::multiply(y, parameter) : mx::add(y, parameter);
  }
  return y;
}

array batch_norm(Call& call) {
  array x = widened_for_sum(call.wide("x"));
  if (x.ndim() < 2) call.fail("x has no channel axis", "rank " + std::to_string(x.ndim()), "at least 2");
  for (const char* name : {"mean", "variance", "gamma", "beta"})
    check_count(call, name, x.shape(1), "channel");
  using kernels::Binary;
  array mean = along_channels(widened_for_sum(call.wide("mean")), x.ndim());
  array variance = along_channels(widened_for_sum(call.wide("variance")), x.ndim());
  array scale = mx::rsqrt(mx::add(variance, scalar_like(call.number_or("epsilon", 1e-5), variance)));
  if (!call.is_ours({"x"})) return scaled_and_shifted(call, mx::multiply(mx::subtract(x, mean), scale), true);
  // Nothing but the last step is rounded to less than float32.
  auto parameter = [&](const char* name) {
    return along_channels(widened_for_sum(call.wide(name)), x.ndim());
  };
  bool has_beta = call.has("beta");
  if (call.has("gamma")) scale = mx::multiply(scale, parameter("gamma"));
  array y = kernels::binary(Binary::kSub, call.tensor("x"), mean, mx::float32);
  y = kernels::binary(Binary::kMul, y, scale, has_beta ? mx::float32 : call.output_dtype(), {true});
  return has_beta ? kernels::binary(Binary::kAdd, y, parameter("beta"), call.output_dtype(), {true}) : y;
}

std::vector<int> axes_from(int first, size_t rank) {
  std::vector<int> axes;
  for (int axis = first; axis < static_cast<int>(rank); ++axis) axes.push_back(axis);
  return axes;
}

array ours(Call& call, const kernels::NormPlan& plan) {
  return kernels::normalize(call.tensor("x"), plan, call.wide_or_none("gamma"), call.wide_or_none("beta"),
                            call.output_dtype());
}

array instance_norm(Call& call) {
  const array& given = call.tensor("x");
  if (given.ndim() < 3)
    call.fail("x has no axis to normalise", "rank " + std::to_string(given.ndim()), "at least 3");
  for (const char* name : {"gamma", "beta"}) check_count(call, name, given.shape(1), "channel");
  if (call.is_ours({"x"})) {
    auto plan = kernels::NormPlan::over(given, axes_from(2, given.ndim()), call.number_or("epsilon", 1e-5));
    if (plan) {
      plan->scale = kernels::NormScale::kChannels;
      return ours(call, *plan);
    }
  }
  array x = widened_for_sum(call.wide("x"));
  array y = normalized(x, axes_from(2, x.ndim()), call.number_or("epsilon", 1e-5));
  return scaled_and_shifted(call, y, true);
}

array l2_norm(Call& call) {
  size_t rank = call.tensor("x").ndim();
  std::vector<int> axes = axes_from(static_cast<int>(rank > 3 ? rank - 3 : 0), rank);
  if (call.is_ours({"x"}) && rank > 0) {
    using kernels::Unary;
    array squares = kernels::unary(Unary::kSquare, call.tensor("x"), mx::float32);
    array sum = kernels::sum_last(squares, static_cast<int>(axes.size()), false, mx::float32);
    array factor =
        kernels::unary(Unary::kRsqrt, sum, mx::float32, static_cast<float>(call.number_or("epsilon", 1e-6)));
    return kernels::binary(kernels::Binary::kMul, call.tensor("x"), factor, call.output_dtype());
  }
  array x = widened_for_sum(call.wide("x"));
  array sum = mx::sum(mx::square(x), axes, true);
  return mx::multiply(x, mx::rsqrt(mx::add(sum, scalar_like(call.number_or("epsilon", 1e-6), x))));
}

array layer_norm(Call& call) {
  size_t rank = call.tensor("x").ndim();
  std::vector<int> axes = call.axes_or("axes", axes_from(0, rank), rank);
  double epsilon = call.number_or("epsilon", 1e-5);
  int64_t places = 1;
  for (int axis : axes) places *= call.tensor("x").shape(axis);
  for (const char* name : {"gamma", "beta"}) check_count(call, name, places, "place of the axes");
  auto plan = kernels::NormPlan::over(call.tensor("x"), axes, epsilon);
  if (plan && call.is_ours({"x"})) return ours(call, *plan);
  if (axes.size() == 1 && axes[0] == static_cast<int>(rank) - 1) {
    auto gamma = call.wide_or_none("gamma"), beta = call.wide_or_none("beta");
    return mx::fast::layer_norm(call.wide("x"), gamma, beta, static_cast<float>(epsilon));
  }
  array y = normalized(widened_for_sum(call.wide("x")), axes, epsilon);
  // gamma and beta have the shape of the normalised axes, which need not be the last ones.
  mx::Shape shape(rank, 1);
  for (int axis : axes) shape[axis] = y.shape(axis);
  if (call.has("gamma")) y = mx::multiply(y, mx::reshape(call.wide("gamma"), shape));
  if (call.has("beta")) y = mx::add(y, mx::reshape(call.wide("beta"), shape));
  return y;
}

// Divides by (k + alpha / size * sum of squares over `size` neighbouring channels) ^ beta.
array local_response_norm(Call& call) {
  constexpr int kMostChannels = 1 << 12;  // each is a part of the graph
  array x = widened_for_sum(call.wide("x"));
  if (x.ndim() < 2) call.fail("x has no channel axis", "rank " + std::to_string(x.ndim()), "at least 2");
  int size = call.integer("size"), channels = x.shape(1);
  if (size < 1 || size > kMostChannels) {
    call.fail("parameter \"size\" is impossible", std::to_string(size),
              "1 to " + std::to_string(kMostChannels));
  }
  double alpha = call.number_or("alpha", 1e-4), beta = call.number_or("beta", 0.75),
         k = call.number_or("k", 1.0);
  if (call.is_ours({"x"}) && x.size() != 0) {
    using kernels::Unary;
    array sums = kernels::pool_axis(kernels::unary(Unary::kSquare, call.tensor("x"), mx::float32),
                                    kernels::PoolKind::kSum, {1, size, 1, (size - 1) / 2, channels});
    array base = kernels::unary(Unary::kAffine, sums, mx::float32, static_cast<float>(alpha / size),
                                static_cast<float>(k));
    array power =
        *kernels::element(kernels::Element::kPow, {base, array(static_cast<float>(beta))}, mx::float32);
    return kernels::binary(kernels::Binary::kDiv, call.tensor("x"), power, call.output_dtype());
  }
  std::vector<std::pair<int, int>> padding(x.ndim(), {0, 0});
  padding[1] = {(size - 1) / 2, size / 2};
  array squares = mx::pad(mx::square(x), padding, scalar_like(0, x));
  mx::Shape start(x.ndim(), 0), stop = squares.shape();
  array sum = mx::zeros_like(x);
  for (int shift = 0; shift < size; ++shift) {
    start[1] = shift;
    stop[1] = shift + channels;
    sum = mx::add(sum, mx::slice(squares, start, stop));
  }
  array base = mx::add(mx::multiply(sum, scalar_like(alpha / size, x)), scalar_like(k, x));
  return mx::divide(x, mx::power(base, scalar_like(beta, x)));
}

}  // namespace

OpTable normalization_ops() {
  return {
      {"batch_norm", batch_norm, "x mean variance gamma? beta? epsilon?"},
      {"instance_norm", instance_norm, "x gamma? beta? epsilon?"},
      {"l2_norm", l2_norm, "x epsilon?"},
      {"layer_norm", layer_norm, "x axes? gamma? beta? epsilon?"},
      {"local_response_norm", local_response_norm, "x size alpha? beta? k?"},
  };
}

}  // namespace tintype
