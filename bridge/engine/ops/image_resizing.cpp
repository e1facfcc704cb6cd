#include <cmath>

#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/sampling.h"

namespace tintype {

namespace {

void require_image(Call& call, const array& x) {
  if (x.ndim() < 3) call.fail("x has no height and width", "rank " + std::to_string(x.ndim()), "at least 3");
}

int scaled_length(Call& call, const char* name, int length) {
  double scaled = std::floor(call.number_or(name, 1) * length);
  if (!(scaled >= 1 && scaled <= kLongestSide))
    call.fail(std::string(name) + " gives an impossible size", std::to_string(scaled),
              "1 to " + std::to_string(kLongestSide));
  return static_cast<int>(scaled);
}

// x as it is stored where the engine's own kernel reads it.
array source_of(Call& call) {
  return call.is_ours({"x"}) ? call.tensor("x") : call.wide("x");
}

array bilinear(Call& call, const array& x, int height, int width, Grid grid) {
  int rank = static_cast<int>(x.ndim());
  array columns = resized_linear(x, rank - 2, height, grid, mx::float32);
  return resized_linear(columns, rank - 1, width, grid,
                        call.is_ours({"x"}) ? call.output_dtype() : mx::float32);
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
  return kernels::take(x, array(index.begin(), {target}), axis);
}

void require_target(Call& call, const array& x, int height, int width) {
  if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide)
    call.fail("the target size is impossible", std::to_string(height) + " x " + std::to_string(width),
              "1 to " + std::to_string(kLongestSide));
  if (x.shape(-1) == 0 || x.shape(-2) == 0)
    call.fail("x has no pixels", describe_shape(x.shape()), "a height and a width of 1 or more");
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
  require_target(call, x, height, width);
  int rank = static_cast<int>(x.ndim());
  return resized_nearest(resized_nearest(x, rank - 2, height, from_origin), rank - 1, width, from_origin);
}

array upsample_bilinear(Call& call) {
  array x = source_of(call);
  require_image(call, x);
  bool corners = call.flag_or("align_corners", true), centres = call.flag_or("half_pixel_centers", !corners);
  int height = scaled_length(call, "scale_factor_height", x.shape(-2));
  int width = scaled_length(call, "scale_factor_width", x.shape(-1));
  if (corners && centres) call.fail("align_corners and half_pixel_centers exclude each other", "both", "one");
  return bilinear(call, x, height, width, corners ? align_corners : centres ? half_pixel : from_origin);
}

array resize_bilinear(Call& call) {
  array x = source_of(call);
  require_image(call, x);
  int height = call.integer_or("target_size_height", 1), width = call.integer_or("target_size_width", 1);
  require_target(call, x, height, width);
  return bilinear(call, x, height, width, grid_of(call));
}

// The last `resized_dims` axes take their lengths from the end of `shape`, where 0 keeps x's.
array resize(Call& call) {
  const array& source = call.tensor("x");
  std::vector<int> shape = call.integers("shape");
  int rank = static_cast<int>(source.ndim()), count = call.integer("resized_dims");
  if (count < 0 || count > static_cast<int>(shape.size()) || static_cast<int>(shape.size()) > rank) {
    call.fail(
        "resized_dims, shape and x do not fit",
        std::to_string(count) + ", " + std::to_string(shape.size()) + " and rank " + std::to_string(rank),
        "resized_dims at most shape's size, and that at most x's rank");
  }
  std::string mode = call.text_or("interpolation_mode", "LINEAR");
  if (mode != "LINEAR" && mode != "NEAREST_NEIGHBOR")
    call.fail("unknown interpolation_mode", mode, "LINEAR or NEAREST_NEIGHBOR");
  Grid grid = grid_of(call);
  bool whole = mx::issubdtype(source.dtype(), mx::integer), linear = mode == "LINEAR";
  array y = !linear ? source : whole ? mx::astype(source, mx::float32) : call.wide("x");
  for (int i = 0; i < count; ++i) {
    int axis = rank - count + i, target = shape[shape.size() - static_cast<size_t>(count - i)];
    if (target == 0 || target == y.shape(axis)) continue;
    if (y.shape(axis) == 0)
      call.fail("the axis is empty", describe_shape(source.shape()), "1 or more elements");
    if (target < 0 || target > kLongestSide)
      call.fail("the target size is impossible", std::to_string(target),
                "0 to " + std::to_string(kLongestSide));
    y = linear ? resized_linear(y, axis, target, grid, mx::float32) : resized_nearest(y, axis, target, grid);
  }
  return linear && whole ? mx::round(y) : y;
}

// Cuts crop_height = [top, bottom] and crop_width = [left, right] away.
array crop(Call& call) {
  const array& x = call.tensor("x");
  require_image(call, x);
  std::vector<int> height = call.integers("crop_height"), width = call.integers("crop_width");
  if (height.size() != 2 || width.size() != 2) {
    call.fail("crop_height and crop_width have a wrong count of values",
              std::to_string(height.size()) + " and " + std::to_string(width.size()), "2 and 2");
  }
  mx::Shape start(x.ndim(), 0), stop = x.shape();
  size_t h = x.ndim() - 2, w = x.ndim() - 1;
  auto fits = [](const std::vector<int>& sides, int length) {
    return sides[0] >= 0 && sides[1] >= 0 && int64_t{sides[0]} + sides[1] < length;
  };
  if (!fits(height, stop[h]) || !fits(width, stop[w]))
    call.fail("the crop leaves nothing", describe_shape(x.shape()), "amounts of 0 or more, below the sides");
  start[h] = height[0], stop[h] -= height[1];
  start[w] = width[0], stop[w] -= width[1];
  return mx::slice(x, start, stop);
}

}  // namespace

OpTable image_resizing_ops() {
  return {
      {"affine", affine,
       "x transform_matrix output_height output_width sampling_mode padding_mode padding_value "
       "coordinates_mode align_corners"},
      {"crop", crop, "x crop_height crop_width"},
      {"crop_resize", crop_resize,
       "x roi? boxes? box_indices? target_height? target_width? normalized_coordinates? spatial_scale? "
       "box_coordinate_mode? sampling_mode? pad_value?"},
      {"resample", resample,
       "x coordinates sampling_mode padding_mode padding_value coordinates_mode align_corners"},
      {"resize", resize, "x shape resized_dims interpolation_mode? sampling_mode?"},
      {"resize_bilinear", resize_bilinear, "x target_size_height? target_size_width? sampling_mode?"},
      {"resize_nearest_neighbor", resize_nearest_neighbor, "x target_size_height target_size_width"},
      {"upsample_bilinear", upsample_bilinear,
       "x scale_factor_height? scale_factor_width? align_corners? half_pixel_centers?"},
      {"upsample_nearest_neighbor", upsample_nearest_neighbor, "x scale_factor_height? scale_factor_width?"},
  };
}

}  // namespace tintype
