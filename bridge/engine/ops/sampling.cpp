#include "ops/sampling.h"

#include <algorithm>
#include <cmath>

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

array resized_linear(const array& x, int axis, int target, Grid grid) {
  int length = x.shape(axis);
  std::vector<int> low, high;
  std::vector<float> fraction;
  for (int i = 0; i < target; ++i) {
    double place = std::min(length - 1.0, std::max(0.0, grid(i, length, target)));
    int floor = static_cast<int>(place);
    low.push_back(floor);
    high.push_back(std::min(floor + 1, length - 1));
    fraction.push_back(static_cast<float>(place - floor));
  }
  array first = mx::take(x, array(low.begin(), {target}), axis);
  array second = mx::take(x, array(high.begin(), {target}), axis);
  return mx::add(first, mx::multiply(mx::subtract(second, first), along(fraction, x, axis)));
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
  return mx::take(x, array(index.begin(), {target}), axis);
}

array sampled(const array& images, const array& image, const array& y, const array& x, bool nearest,
              Outside outside, double value) {
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
    if (outside != Outside::kConstant) return found;
    array inside = mx::logical_and(is_inside(row, height), is_inside(column, width));
    return mx::where(mx::expand_dims(inside, -1), found, scalar_like(value, found));
  };
  if (nearest) return pixel(mx::round(py), mx::round(px));
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

}  // namespace tintype
