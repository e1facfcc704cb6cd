#include <limits>

#include "kernels/primitives.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/spatial.h"

namespace tintype {

namespace {

using Combine = array (*)(const array&, const array&, mx::StreamOrDevice);
using Reduce = array (*)(const array&, int, bool, mx::StreamOrDevice);

/** A pool's windows and the length of its output on every axis. */
struct Pool {
  Spatial spatial;
  std::vector<int> lengths;
};

Pool pool_of(Call& call, const array& x) {
  constexpr int kMostPlaces = 1 << 14;  // each is a part of MLX's graph
  Pool pool{spatial_of(call, x.shape(), call.integers("kernel_sizes")), {}};
  bool ceil_mode = call.flag_or("ceil_mode", false);
  Spatial& s = pool.spatial;
  for (size_t i = 0; i < s.kernel.size(); ++i) {
    int length = x.shape(static_cast<int>(i) + 2), padded = length + s.before[i] + s.after[i];
    int room = padded - s.kernel[i] + (ceil_mode ? s.strides[i] - 1 : 0);
    if (padded < s.kernel[i])
      call.fail("the window is larger than the padded input", std::to_string(s.kernel[i]),
                "at most " + std::to_string(padded));
    int count = room / s.strides[i] + 1;
    // The last window must begin inside the input or its leading padding.
    bool outside = (count - 1) * s.strides[i] >= length + s.before[i];
    if (ceil_mode && outside && (s.before[i] > 0 || s.after[i] > 0)) --count;
    if (count < 1)
      call.fail("no window begins inside the input", describe_shape(x.shape()), "an axis of 1 or more");
    if (count > 1 && s.kernel[i] > kMostPlaces) {
      call.fail("the window is too large", std::to_string(s.kernel[i]),
                "at most " + std::to_string(kMostPlaces) + " where there are several");
    }
    pool.lengths.push_back(count);
  }
  return pool;
}

// x with its padding, and as much more behind as the last windows need.
array padded(const array& x, const Pool& pool, const array& value) {
  std::vector<std::pair<int, int>> widths(x.ndim(), {0, 0});
  for (size_t i = 0; i < pool.lengths.size(); ++i) {
    int needed = (pool.lengths[i] - 1) * pool.spatial.strides[i] + pool.spatial.kernel[i];
    int have = x.shape(static_cast<int>(i) + 2) + pool.spatial.before[i];
    widths[i + 2] = {pool.spatial.before[i], std::max(0, needed - have)};
  }
  return mx::pad(x, widths, value);
}

// Combines along one axis after the other: every place of the window is one strided slice, or all of them one
// reduction where there is one window.
array combine_windows(array x, const Pool& pool, Combine combine, Reduce reduce) {
  for (size_t i = 0; i < pool.lengths.size(); ++i) {
    int axis = static_cast<int>(i) + 2, stride = pool.spatial.strides[i];
    if (pool.lengths[i] == 1) {
      mx::Shape whole = x.shape();
      whole[axis] = pool.spatial.kernel[i];
      x = reduce(mx::slice(x, mx::Shape(x.ndim(), 0), whole), axis, true, {});
      continue;
    }
    mx::Shape start(x.ndim(), 0), stop = x.shape(), step(x.ndim(), 1);
    step[axis] = stride;
    std::optional<array> sum;
    for (int k = 0; k < pool.spatial.kernel[i]; ++k) {
      start[axis] = k;
      stop[axis] = k + (pool.lengths[i] - 1) * stride + 1;
      array part = mx::slice(x, start, stop, step);
      sum = sum ? combine(*sum, part, {}) : part;
    }
    x = *sum;
  }
  return x;
}

array along_axis(const array& x, const Pool& pool, kernels::PoolKind kind, int i) {
  const Spatial& s = pool.spatial;
  return kernels::pool_axis(kernels::cast(x, mx::float32), kind,
                            {i + 2, s.kernel[i], s.strides[i], s.before[i], pool.lengths[i]});
}

// The last axis: lines side by side where windows are few and long, which vectors of neighbours do not fit.
array along_lines(const array& x, const Pool& pool, kernels::PoolKind kind, int i) {
  const Spatial& s = pool.spatial;
  array lines = mx::reshape(kernels::dense(x), {x.shape(0), x.shape(1), -1, x.shape(-1)});
  kernels::PoolPlan plan{
      {1, s.kernel[i]}, {1, s.strides[i]}, {0, s.before[i]}, {lines.shape(2), pool.lengths[i]}};
  if (pool.lengths[i] >= s.kernel[i] && kernels::can_pool(lines, plan)) {
    mx::Shape shape = x.shape();
    shape[i + 2] = pool.lengths[i];
    return mx::reshape(kernels::pool2d(lines, kind, plan, mx::float32), shape);
  }
  std::vector<int> order = {i + 2}, back;
  for (int axis = 0; axis < i + 2; ++axis) order.push_back(axis), back.push_back(axis + 1);
  back.push_back(0);
  array turned = mx::transpose(kernels::cast(x, mx::float32), order);
  array y = kernels::pool_axis(turned, kind, {0, s.kernel[i], s.strides[i], s.before[i], pool.lengths[i]});
  return kernels::dense(mx::transpose(y, back));
}

// One axis after the other, from the last one on.
std::optional<array> by_axes(const array& given, const Pool& pool, kernels::PoolKind kind, mx::Dtype dtype) {
  const Spatial& s = pool.spatial;
  if (!kernels::is_ours(given) || given.size() == 0) return std::nullopt;
  int last = static_cast<int>(s.kernel.size()) - 1;
  array x = given;
  for (int i = last; i >= 0; --i) {
    bool idle =
        s.kernel[i] == 1 && s.strides[i] == 1 && s.before[i] == 0 && pool.lengths[i] == x.shape(i + 2);
    if (!idle) x = i == last ? along_lines(x, pool, kind, i) : along_axis(x, pool, kind, i);
  }
  return kernels::cast(x, dtype);
}

// Nothing where the engine's kernels do not take x.
std::optional<array> by_kernel(const array& x, const Pool& pool, kernels::PoolKind kind, mx::Dtype dtype) {
  const Spatial& s = pool.spatial;
  if (s.kernel.size() == 2) {
    auto pair = [](const std::vector<int>& v) { return std::array<int, 2>{v[0], v[1]}; };
    kernels::PoolPlan plan{pair(s.kernel), pair(s.strides), pair(s.before), pair(pool.lengths)};
    if (kernels::can_pool(x, plan)) return kernels::pool2d(x, kind, plan, dtype);
  }
  if (s.kernel.size() != 1) return by_axes(x, pool, kind, dtype);
  Pool plane{{{1, s.kernel[0]}, {1, s.strides[0]}, {}, {0, s.before[0]}, {}}, {1, pool.lengths[0]}};
  auto y = by_kernel(mx::expand_dims(x, 2), plane, kind, dtype);
  if (y) y = mx::squeeze(*y, 2);
  return y;
}

array max_pool(Call& call) {
  bool as_stored = call.is_ours({"x"});
  array x = as_stored ? call.tensor("x") : call.wide("x");
  Pool pool = pool_of(call, x);
  if (auto y = by_kernel(x, pool, kernels::PoolKind::kMax, x.dtype())) return *y;
  array lowest = scalar_like(-std::numeric_limits<float>::infinity(), x);
  return combine_windows(padded(x, pool, lowest), pool, mx::maximum, mx::max);
}

array sum_windows(const array& given, const Pool& pool) {
  if (auto y = by_kernel(given, pool, kernels::PoolKind::kSum, mx::float32)) return *y;
  array x = widened_for_sum(given);
  return combine_windows(padded(x, pool, scalar_like(0, x)), pool, mx::add, mx::sum);
}

// How many places of each window count: the input's, and unless excluded its padding, but never what
// ceil_mode adds behind.
array count_places(Call& call, const array& x, Pool pool) {
  mx::Shape shape = x.shape();
  shape[0] = shape[1] = 1;
  array counted = mx::ones(shape, x.dtype() == mx::float16 ? mx::float32 : x.dtype());
  if (!call.flag_or("exclude_padding_from_average", false)) {
    std::vector<std::pair<int, int>> widths(x.ndim(), {0, 0});
    for (size_t i = 0; i < pool.lengths.size(); ++i)
      widths[i + 2] = {pool.spatial.before[i], pool.spatial.after[i]};
    counted = mx::pad(counted, widths, scalar_like(1, counted));
    std::fill(pool.spatial.before.begin(), pool.spatial.before.end(), 0);
  }
  return sum_windows(counted, pool);
}

array avg_pool(Call& call) {
  bool as_stored = call.is_ours({"x"});
  array x = as_stored ? call.tensor("x") : widened_for_sum(call.wide("x"));
  Pool pool = pool_of(call, x);
  array sums = sum_windows(x, pool), counts = count_places(call, x, pool);
  return as_stored ? kernels::binary(kernels::Binary::kDiv, sums, counts, call.output_dtype())
                   : mx::divide(sums, counts);
}

array l2_pool(Call& call) {
  using kernels::Unary;
  if (call.is_ours({"x"})) {
    const array& x = call.tensor("x");
    array sums = sum_windows(kernels::unary(Unary::kSquare, x, mx::float32), pool_of(call, x));
    return kernels::unary(Unary::kSqrt, sums, call.output_dtype());
  }
  array x = widened_for_sum(call.wide("x"));
  return mx::sqrt(sum_windows(mx::square(x), pool_of(call, x)));
}

}  // namespace

OpTable pool_ops() {
  return {
      {"avg_pool", avg_pool,
       "x kernel_sizes strides? pad_type pad? ceil_mode? exclude_padding_from_average?"},
      {"l2_pool", l2_pool, "x kernel_sizes strides? pad_type pad? ceil_mode?"},
      {"max_pool", max_pool, "x kernel_sizes strides? pad_type pad? ceil_mode?"},
  };
}

}  // namespace tintype
