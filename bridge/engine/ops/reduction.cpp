#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/integers.h"
#include "ops/precision.h"
#include "ops/registry.h"

namespace tintype {

namespace {

struct Reduction {
  array x;
  std::vector<int> axes;
  bool keep_dims;
};

Reduction arguments(Call& call) {
  array x = widened_for_sum(call.wide("x"));
  std::vector<int> all(x.ndim());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  std::vector<int> axes = call.axes_or("axes", all, x.ndim());
  return {x, axes, call.flag_or("keep_dims", false)};
}

// True if the axes are the last ones, in order, and the engine computes.
bool sums_last(Call& call, const std::vector<int>& axes) {
  size_t rank = call.tensor("x").ndim();
  if (axes.empty() || !call.is_ours({"x"})) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int>(rank - axes.size() + i)) return false;
  }
  return true;
}

using Reducer = array (*)(const array&, const std::vector<int>&, bool, mx::StreamOrDevice);

template <Reducer reduce>
array apply(Call& call) {
  auto [x, axes, keep_dims] = arguments(call);
  return reduce(x, axes, keep_dims, {});
}

template <Reducer reduce, bool mean>
array apply_sum(Call& call) {
  size_t rank = call.tensor("x").ndim();
  std::vector<int> all(rank);
  for (size_t i = 0; i < rank; ++i) all[i] = static_cast<int>(i);
  std::vector<int> axes = call.axes_or("axes", all, rank);
  if (!sums_last(call, axes)) return apply<reduce>(call);
  array y = kernels::sum_last(call.tensor("x"), static_cast<int>(axes.size()), mean, call.output_dtype());
  return call.flag_or("keep_dims", false) ? y : mx::squeeze(y, axes);
}

template <Reducer reduce>
array apply_extreme(Call& call) {
  auto [x, axes, keep_dims] = arguments(call);
  for (int axis : axes) {
    if (x.shape(axis) == 0) call.fail("the axis is empty", describe_shape(x.shape()), "1 or more elements");
  }
  return reduce(x, axes, keep_dims, {});
}

using Function = array (*)(const array&, mx::StreamOrDevice);

// The sum of a function of the elements, in float32.
template <kernels::Unary op, Function function>
array sum_of(Call& call, bool keep_dims) {
  auto [x, axes, ignored] = arguments(call);
  if (!kernels::is_ours(x)) return mx::sum(function(x, {}), axes, keep_dims);
  array y = kernels::unary(op, call.tensor("x"), mx::float32);
  if (!sums_last(call, axes)) return mx::sum(y, axes, keep_dims);
  y = kernels::sum_last(y, static_cast<int>(axes.size()), false, mx::float32);
  return keep_dims ? y : mx::squeeze(y, axes);
}

array reduce_l1_norm(Call& call) {
  return sum_of<kernels::Unary::kAbs, mx::abs>(call, call.flag_or("keep_dims", false));
}

array reduce_l2_norm(Call& call) {
  return mx::sqrt(sum_of<kernels::Unary::kSquare, mx::square>(call, call.flag_or("keep_dims", false)));
}

array reduce_log_sum(Call& call) {
  auto [x, axes, keep_dims] = arguments(call);
  return mx::log(mx::sum(x, axes, keep_dims));
}

array reduce_log_sum_exp(Call& call) {
  auto [x, axes, keep_dims] = arguments(call);
  if (x.size() == 0) return mx::log(mx::sum(mx::exp(x), axes, keep_dims));  // which MLX's own refuses
  if (kernels::is_ours(x)) {
    array highest = mx::max(x, axes, true);
    array base = mx::where(mx::isfinite(highest), highest, scalar_like(0, x));
    array powers = kernels::exp(kernels::binary(kernels::Binary::kSub, x, base, mx::float32));
    array sum = mx::sum(powers, axes, true);
    array y = mx::add(kernels::unary(kernels::Unary::kLog, sum, x.dtype()), base);
    return keep_dims ? y : mx::squeeze(y, axes);
  }
  return mx::logsumexp(x, axes, keep_dims);
}

array reduce_sum_square(Call& call) {
  return sum_of<kernels::Unary::kSquare, mx::square>(call, call.flag_or("keep_dims", false));
}

array reduce_mean(Call& call) {
  if (!are_integers(call.tensor("x"))) return apply_sum<mx::mean, true>(call);
  auto [x, axes, keep_dims] = arguments(call);
  return mean_of_integers(x, axes, keep_dims);
}

using ArgReducer = array (*)(const array&, int, bool, mx::StreamOrDevice);

template <ArgReducer reduce>
array apply_arg(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", -1, x.ndim());
  bool keep_dims = call.flag_or("keep_dims", false);
  if (x.size() > 0) return reduce(x, axis, keep_dims, {});
  if (x.shape(axis) == 0) call.fail("the axis is empty", describe_shape(x.shape()), "1 or more elements");
  array first = mx::zeros(x.shape(), mx::int32);  // of no elements; only its shape is of use
  return mx::max(first, axis, keep_dims);
}

}  // namespace

OpTable reduction_ops() {
  return {
      {"reduce_argmax", apply_arg<mx::argmax>, "x axis? keep_dims? output_dtype?"},
      {"reduce_argmin", apply_arg<mx::argmin>, "x axis? keep_dims? output_dtype?"},
      {"reduce_l1_norm", reduce_l1_norm, "x axes? keep_dims?"},
      {"reduce_l2_norm", reduce_l2_norm, "x axes? keep_dims?"},
      {"reduce_log_sum", reduce_log_sum, "x axes? keep_dims?"},
      {"reduce_log_sum_exp", reduce_log_sum_exp, "x axes? keep_dims?"},
      {"reduce_max", apply_extreme<mx::max>, "x axes? keep_dims?"},
      {"reduce_mean", reduce_mean, "x axes? keep_dims?"},
      {"reduce_min", apply_extreme<mx::min>, "x axes? keep_dims?"},
      {"reduce_prod", apply<mx::prod>, "x axes? keep_dims?"},
      {"reduce_sum", apply_sum<mx::sum, false>, "x axes? keep_dims?"},
      {"reduce_sum_square", reduce_sum_square, "x axes? keep_dims?"},
  };
}

}  // namespace tintype
