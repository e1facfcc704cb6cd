#include "ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/primitives.h"

namespace tintype {

double align_corners(int i, double length, int target) {
  return target == 1 ? 0 : i * (length - 1) / (target - 1);
}

double half_pixel(int i, double length, int target) {
  return (i + 0.5) * length / target - 0.5;
}

double from_origin(int i, double length, int target) {
  return i * length / target;
}

namespace {

double centred_corners(int i, double length, int target) {
  return target == 1 ? (length - 1) / 2.0 : align_corners(i, length, target);
}

double offset_corners(int i, double length, int target) {
  return (i + 0.5) * std::max(1.0, length - 1) / target;
}

array along(const std::vector<float>& values, const array& x, int axis) {
  mx::Shape shape(x.ndim(), 1);
  shape[axis] = static_cast<int>(values.size());
  return mx::astype(array(values.begin(), shape), x.dtype());
}

// Neighbours of a place that is never far outside, as int32 within [0, length).
array clamped(const array& place, int length) {
  return mx::astype(mx::clip(place, array(0.0f), array(static_cast<float>(length - 1))), mx::int32);
}

array is_inside(const array& place, int length) {
  return mx::logical_and(mx::greater_equal(place, array(0.0f)),
                         mx::less_equal(place, array(static_cast<float>(length - 1))));
}

}  // namespace

Grid grid_of(Call& call) {
  std::string mode = call.text_or("sampling_mode", "DEFAULT");
  if (mode == "DEFAULT") return from_origin;
  if (mode == "STRICT_ALIGN_CORNERS") return align_corners;
  if (mode == "ALIGN_CORNERS") return centred_corners;
  if (mode == "OFFSET_CORNERS") return offset_corners;
  if (mode == "UNALIGN_CORNERS") return half_pixel;
  call.fail("unknown sampling_mode", mode,
            "DEFAULT, ALIGN_CORNERS, STRICT_ALIGN_CORNERS, OFFSET_CORNERS or UNALIGN_CORNERS");
}

array resized_linear(const array& x, int axis, int target, Grid grid, mx::Dtype dtype) {
  int length = x.shape(axis);
  kernels::Neighbours places;
  for (int i = 0; i < target; ++i) {
    double place = std::min(length - 1.0, std::max(0.0, grid(i, length, target)));
    int floor = static_cast<int>(place);
    places.low.push_back(floor);
    places.high.push_back(std::min(floor + 1, length - 1));
    places.share.push_back(static_cast<float>(place - floor));
  }
  if (kernels::is_ours(x) && kernels::is_ours(dtype))
    return kernels::interpolate(x, axis, std::move(places), dtype);
  array first = mx::take(x, array(places.low.begin(), {target}), axis);
  array second = mx::take(x, array(places.high.begin(), {target}), axis);
  return mx::add(first, mx::multiply(mx::subtract(second, first), along(places.share, x, axis)));
}

array resized_nearest(const array& x, int axis, int target, Grid grid) {
  int length = x.shape(axis);
  if (target == length) return x;
  if (grid == from_origin && target % length == 0) return mx::repeat(x, target / length, axis);
  std::vector<int> index;
  for (int i = 0; i < target; ++i) {
    // In integers where it can be: a quotient's last bit must not choose the pixel.
    int64_t place = grid == from_origin || grid == half_pixel
                        ? (2 * static_cast<int64_t>(i) + 1) * length / (2 * static_cast<int64_t>(target))
                        : static_cast<int64_t>(std::floor(grid(i, length, target) + 0.5));
    index.push_back(static_cast<int>(std::clamp<int64_t>(place, 0, length - 1)));
  }
  return kernels::take(x, array(index.begin(), {target}), axis);
}

namespace {

// The same of MLX's ops.
array sampled_by_mlx(const array& images, const array& image, const array& y, const array& x,
                     const SamplePlan& plan) {
  int channels = images.shape(1), height = images.shape(2), width = images.shape(3);
  // A pixel's channels side by side, so that a place is one row.
  array rows = mx::reshape(mx::transpose(images, {0, 2, 3, 1}), {images.shape(0) * height * width, channels});
  // Far outside is as good as just outside, and no float that int32 cannot hold is ever converted.
  auto bounded = [](const array& place, int length) {
    array known = mx::where(mx::isnan(place), array(-2.0f), place);
    return mx::clip(known, array(-2.0f), array(static_cast<float>(length + 1)));
  };
  array py = bounded(y, height), px = bounded(x, width);
  auto pixel = [&](const array& row, const array& column) {
    array index =
        mx::add(mx::multiply(mx::add(mx::multiply(image, array(height)), clamped(row, height)), array(width)),
                clamped(column, width));
    array found = mx::take(rows, index, 0);
    if (plan.outside != Outside::kConstant) return found;
    array inside = mx::logical_and(is_inside(row, height), is_inside(column, width));
    return mx::where(mx::expand_dims(inside, -1), found, scalar_like(plan.value, found));
  };
  if (plan.nearest) return pixel(mx::round(py), mx::round(px));
  array top = mx::floor(py), left = mx::floor(px), one = array(1.0f);
  array down = mx::expand_dims(mx::astype(mx::subtract(py, top), rows.dtype()), -1);
  array right = mx::expand_dims(mx::astype(mx::subtract(px, left), rows.dtype()), -1);
  auto mixed = [](const array& a, const array& b, const array& share) {
    return mx::add(a, mx::multiply(mx::subtract(b, a), share));
  };
  array below = mx::add(top, one), beside = mx::add(left, one);
  return mixed(mixed(pixel(top, left), pixel(top, beside), right),
               mixed(pixel(below, left), pixel(below, beside), right), down);
}

}  // namespace

array sampled(const array& images, const array& image, const array& y, const array& x,
              const SamplePlan& plan) {
  bool fits = int64_t{images.shape(2)} * images.shape(3) <= std::numeric_limits<int32_t>::max();
  if (kernels::is_ours(images) && images.dtype() == mx::float32 && fits) {
    mx::Shape shape = mx::broadcast_shapes(image.shape(), mx::broadcast_shapes(y.shape(), x.shape()));
    return kernels::sample(images, mx::broadcast_to(image, shape), mx::broadcast_to(y, shape),
                           mx::broadcast_to(x, shape), plan);
  }
  array pixels = sampled_by_mlx(images, image, y, x, plan);
  if (plan.outside == Outside::kNowhere) {
    array nowhere = mx::expand_dims(mx::logical_or(mx::isnan(y), mx::isnan(x)), -1);
    pixels = mx::where(nowhere, scalar_like(plan.value, pixels), pixels);
  }
  return mx::moveaxis(pixels, -1, plan.leading);
}

}  // namespace tintype
