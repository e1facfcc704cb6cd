#include <cmath>
#include <functional>

#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"

namespace tintype {

namespace {

void require_image(Call& call, const array& x) {
  if (x.ndim() < 3) call.fail("x has no height and width", "rank " + std::to_string(x.ndim()), "at least 3");
}

int scaled_length(Call& call, const char* name, int length) {
  double scaled = std::floor(call.number_or(name, 1) * length);
  if (!(scaled >= 1 && scaled < 1 << 24))
    call.fail(std::string(name) + " gives an impossible size", std::to_string(scaled), "1 or more");
  return static_cast<int>(scaled);
}

// Every output place takes the input place floor(i * in / out).
array nearest(const array& x, int axis, int target) {
  int length = x.shape(axis);
  if (target == length) return x;
  if (target % length == 0) return mx::repeat(x, target / length, axis);
  std::vector<int> index(static_cast<size_t>(target));
  for (int i = 0; i < target; ++i) {
    index[static_cast<size_t>(i)] = static_cast<int>(static_cast<int64_t>(i) * length / target);
  }
  return mx::take(x, array(index.begin(), {target}), axis);
}

/** Place in the input, in elements, of every place in the output. */
using Grid = std::function<double(int i, int length, int target)>;

double align_corners(int i, int length, int target) {
  return target == 1 ? 0 : static_cast<double>(i) * (length - 1) / (target - 1);
}

double centred_corners(int i, int length, int target) {
  return target == 1 ? (length - 1) / 2.0 : align_corners(i, length, target);
}

double half_pixel(int i, int length, int target) {
  return (i + 0.5) * length / target - 0.5;
}

double from_origin(int i, int length, int target) {
  return static_cast<double>(i) * length / target;
}

double offset_corners(int i, int length, int target) {
  double delta = std::max(1, length - 1) / static_cast<double>(target);
  return (i + 0.5) * delta;
}

// Linear interpolation along one axis.
array linear(const array& x, int axis, int target, const Grid& grid) {
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
  mx::Shape shape(x.ndim(), 1);
  shape[axis] = target;
  array weight = mx::astype(array(fraction.begin(), shape), x.dtype());
  array first = mx::take(x, array(low.begin(), {target}), axis);
  array second = mx::take(x, array(high.begin(), {target}), axis);
  return mx::add(first, mx::multiply(mx::subtract(second, first), weight));
}

array bilinear(const array& x, int height, int width, const Grid& grid) {
  return linear(linear(x, static_cast<int>(x.ndim()) - 2, height, grid), static_cast<int>(x.ndim()) - 1,
                width, grid);
}

array upsample_nearest_neighbor(Call& call) {
  const array& x = call.tensor("x");
  require_image(call, x);
  int height = scaled_length(call, "scale_factor_height", x.shape(-2));
  int width = scaled_length(call, "scale_factor_width", x.shape(-1));
  int rank = static_cast<int>(x.ndim());
  return nearest(nearest(x, rank - 2, height), rank - 1, width);
}

array resize_nearest_neighbor(Call& call) {
  const array& x = call.tensor("x");
  require_image(call, x);
  int height = call.integer("target_size_height"), width = call.integer("target_size_width");
  if (height < 1 || width < 1)
    call.fail("the target size is impossible", std::to_string(height) + " x " + std::to_string(width));
  int rank = static_cast<int>(x.ndim());
  return nearest(nearest(x, rank - 2, height), rank - 1, width);
}

array upsample_bilinear(Call& call) {
  array x = call.wide("x");
  require_image(call, x);
  bool corners = call.flag_or("align_corners", true), centres = call.flag_or("half_pixel_centers", !corners);
  int height = scaled_length(call, "scale_factor_height", x.shape(-2));
  int width = scaled_length(call, "scale_factor_width", x.shape(-1));
  if (corners && centres) call.fail("align_corners and half_pixel_centers exclude each other");
  return bilinear(x, height, width, corners ? align_corners : centres ? half_pixel : from_origin);
}

array resize_bilinear(Call& call) {
  array x = call.wide("x");
  require_image(call, x);
  int height = call.integer_or("target_size_height", 1), width = call.integer_or("target_size_width", 1);
  if (height < 1 || width < 1)
    call.fail("the target size is impossible", std::to_string(height) + " x " + std::to_string(width));
  std::string mode = call.text_or("sampling_mode", "DEFAULT");
  Grid grid = mode == "STRICT_ALIGN_CORNERS" ? align_corners
              : mode == "ALIGN_CORNERS"      ? centred_corners
              : mode == "DEFAULT"            ? from_origin
              : mode == "OFFSET_CORNERS"     ? offset_corners
              : mode == "UNALIGN_CORNERS"    ? half_pixel
                                             : Grid();
  if (!grid)
    call.fail("unknown sampling_mode", mode,
              "DEFAULT, ALIGN_CORNERS, STRICT_ALIGN_CORNERS, OFFSET_CORNERS or UNALIGN_CORNERS");
  return bilinear(x, height, width, grid);
}

// Cuts crop_height = [top, bottom] and crop_width = [left, right] away.
array crop(Call& call) {
  const array& x = call.tensor("x");
  require_image(call, x);
  std::vector<int> height = call.integers("crop_height"), width = call.integers("crop_width");
  if (height.size() != 2 || width.size() != 2) call.fail("crop_height and crop_width have two values each");
  mx::Shape start(x.ndim(), 0), stop = x.shape();
  size_t h = x.ndim() - 2, w = x.ndim() - 1;
  start[h] = height[0], stop[h] -= height[1];
  start[w] = width[0], stop[w] -= width[1];
  bool fits = height[0] >= 0 && height[1] >= 0 && width[0] >= 0 && width[1] >= 0 && start[h] < stop[h] &&
              start[w] < stop[w];
  if (!fits) call.fail("the crop leaves nothing", describe_shape(x.shape()));
  return mx::slice(x, start, stop);
}

}  // namespace

OpTable image_resizing_ops() {
  return {
      {"crop", crop, "x crop_height crop_width"},
      {"resize_bilinear", resize_bilinear, "x target_size_height? target_size_width? sampling_mode?"},
      {"resize_nearest_neighbor", resize_nearest_neighbor, "x target_size_height target_size_width"},
      {"upsample_bilinear", upsample_bilinear,
       "x scale_factor_height? scale_factor_width? align_corners? half_pixel_centers?"},
      {"upsample_nearest_neighbor", upsample_nearest_neighbor, "x scale_factor_height? scale_factor_width?"},
  };
}

}  // namespace tintype
