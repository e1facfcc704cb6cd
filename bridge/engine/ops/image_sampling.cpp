// Sampling of images at places that other tensors hold: resample, affine, crop_resize.
#include <algorithm>
#include <cmath>

#include "ops/sampling.h"

namespace tintype {

namespace {

// coremltools takes modes in any case.
std::string lower(std::string text) {
  for (char& letter : text) letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
  return text;
}

// An image of `length` pixels, in a convention for coordinates: where each lies, in pixels.
array in_pixels(Call& call, const array& coordinate, int length) {
  std::string mode = lower(call.text("coordinates_mode"));
  auto number = [](double value) { return array(static_cast<float>(value)); };
  array unit = coordinate;  // 0 to 1 over the image
  if (mode == "unnormalized") return coordinate;
  if (mode == "normalized_minus_one_to_one")
    unit = mx::multiply(mx::add(coordinate, number(1)), number(0.5));
  else if (mode != "normalized_zero_to_one")
    call.fail("unknown coordinates_mode", mode,
              "unnormalized, normalized_minus_one_to_one or normalized_zero_to_one");
  if (call.flag_or("align_corners", true)) return mx::multiply(unit, number(length - 1));
  return mx::subtract(mx::multiply(unit, number(length)), number(0.5));
}

// Folds places back between two mirrors that lie `span` apart, the first one at `start`.
array mirrored(const array& place, double start, double span) {
  auto number = [](double value) { return array(static_cast<float>(value)); };
  if (span <= 0) return mx::full(place.shape(), number(start));
  array from = mx::remainder(mx::abs(mx::subtract(place, number(start))), number(2 * span));
  return mx::add(mx::minimum(from, mx::subtract(number(2 * span), from)), number(start));
}

// Pixels of x at places [b, h, w] in MIL's coordinates, as [b, c, h, w].
array sampled_at(Call& call, const array& x, array column, array row) {
  std::string mode = lower(call.text("sampling_mode")), padding = lower(call.text("padding_mode"));
  if (mode != "bilinear" && mode != "nearest")
    call.fail("unknown sampling_mode", mode, "bilinear or nearest");
  int height = x.shape(2), width = x.shape(3);
  column = in_pixels(call, column, width), row = in_pixels(call, row, height);
  if (padding == "reflection") {
    column = mirrored(column, 0, width - 1), row = mirrored(row, 0, height - 1);
  } else if (padding == "symmetric") {
    column = mirrored(column, -0.5, width), row = mirrored(row, -0.5, height);
  } else if (padding != "constant" && padding != "border") {
    call.fail("unknown padding_mode", padding, "constant, border, reflection or symmetric");
  }
  if (padding != "constant") {  // inside the image before neighbours are looked for
    column = mx::clip(column, array(0.0f), array(static_cast<float>(width - 1)));
    row = mx::clip(row, array(0.0f), array(static_cast<float>(height - 1)));
  }
  array image = mx::reshape(mx::arange(x.shape(0)), {-1, 1, 1});
  return sampled(x, image, row, column,
                 {.nearest = mode == "nearest",
                  .outside = padding == "constant" ? Outside::kConstant : Outside::kBorder,
                  .value = static_cast<float>(call.number_or("padding_value", 0)),
                  .leading = 1});
}

void require_size(Call& call, int height, int width) {
  if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide)
    call.fail("the output's size is impossible", std::to_string(height) + " x " + std::to_string(width),
              "1 to " + std::to_string(kLongestSide));
}

void require_pixels(Call& call, const array& x) {
  if (x.ndim() != 4 || x.shape(2) == 0 || x.shape(3) == 0)
    call.fail("x is no batch of images", describe_shape(x.shape()), "[b, c, h, w] with pixels");
}

}  // namespace

array resample(Call& call) {
  array x = call.wide("x"), coordinates = mx::astype(call.tensor("coordinates"), mx::float32);
  require_pixels(call, x);
  if (coordinates.ndim() != 4 || coordinates.shape(0) != x.shape(0) || coordinates.shape(3) != 2) {
    call.fail("coordinates have a wrong shape", describe_shape(coordinates.shape()),
              "[b, h, w, 2] with the b of x");
  }
  std::vector<array> parts = mx::split(coordinates, 2, 3);
  return sampled_at(call, x, mx::squeeze(parts[0], 3), mx::squeeze(parts[1], 3));
}

// Output places from -1 to 1 over each axis, turned by a matrix into places of the input.
array affine(Call& call) {
  array x = call.wide("x"), matrix = mx::astype(call.tensor("transform_matrix"), mx::float32);
  require_pixels(call, x);
  int height = call.integer("output_height"), width = call.integer("output_width"), batch = x.shape(0);
  require_size(call, height, width);
  if (matrix.ndim() != 2 || matrix.shape(1) != 6 || (matrix.shape(0) != 1 && matrix.shape(0) != batch)) {
    call.fail("transform_matrix has a wrong shape", describe_shape(matrix.shape()), "[1, 6] or [b, 6]");
  }
  bool corners = call.flag_or("align_corners", true);
  auto places = [&](int count, const mx::Shape& shape) {
    std::vector<float> values;
    for (int i = 0; i < count; ++i) {
      double unit = !corners ? (i + 0.5) / count : count == 1 ? 0.5 : i / (count - 1.0);
      values.push_back(static_cast<float>(2 * unit - 1));
    }
    return array(values.begin(), shape);
  };
  array columns = places(width, {1, 1, width}), rows = places(height, {1, height, 1});
  std::vector<array> m = mx::split(mx::reshape(matrix, {-1, 6, 1, 1}), 6, 1);
  for (array& each : m) each = mx::squeeze(each, 1);
  auto turned = [&](const array& a, const array& b, const array& c) {
    array place = mx::add(mx::add(mx::multiply(a, columns), mx::multiply(b, rows)), c);
    return mx::broadcast_to(place, {batch, height, width});
  };
  return sampled_at(call, x, turned(m[0], m[1], m[2]), turned(m[3], m[4], m[5]));
}

namespace {

/** A box's edges on one axis, in pixels; the end may come before the start. */
struct Interval {
  double start, end;
};

struct Boxes {
  std::vector<int> images;  // of each box; empty: every image
  std::vector<Interval> rows, columns;
};

Boxes boxes_of(Call& call, const array& x) {
  bool regions = call.has("roi");
  if (!regions && !call.has("boxes")) call.fail("parameter \"boxes\" is missing", "no boxes", "boxes or roi");
  const char* name = regions ? "roi" : "boxes";
  const array& given = call.tensor(name);
  size_t width =
      given.ndim() > 0 ? static_cast<size_t>(given.shape(regions && given.ndim() == 5 ? 2 : -1)) : 0;
  bool fits = regions ? given.ndim() == 5 && (width == 4 || width == 5) : given.ndim() == 2 && width == 4;
  if (!fits || given.size() != static_cast<size_t>(given.shape(0)) * width)
    call.fail(std::string(name) + " has a wrong shape", describe_shape(given.shape()),
              regions ? "[n, 1, 4 or 5, 1, 1]" : "[n, 4]");
  std::vector<double> values = call.numbers(name);
  std::string mode = call.text_or("box_coordinate_mode", "CORNERS_HEIGHT_FIRST");
  bool centred = mode.rfind("CENTER_SIZE_", 0) == 0, wide_first = mode.ends_with("_WIDTH_FIRST");
  if (mode !=
      std::string(centred ? "CENTER_SIZE" : "CORNERS") + (wide_first ? "_WIDTH_FIRST" : "_HEIGHT_FIRST"))
    call.fail(
        "unknown box_coordinate_mode", mode,
        "CORNERS_HEIGHT_FIRST, CORNERS_WIDTH_FIRST, CENTER_SIZE_HEIGHT_FIRST or CENTER_SIZE_WIDTH_FIRST");
  double scale = call.number_or("spatial_scale", 1);
  bool normalised = call.flag_or("normalized_coordinates", false);
  Boxes boxes;
  for (size_t i = 0; i + width <= values.size(); i += width) {
    const double* box = &values[i + width - 4];
    if (width == 5) boxes.images.push_back(static_cast<int>(std::clamp(values[i], -1.0, 1e6)));
    auto interval = [&](int first, int axis) {
      double unit = scale * (normalised ? x.shape(axis) - 1 : 1), a = box[first] * unit,
             b = box[first + 2] * unit;
      return centred ? Interval{a - b / 2, a + b / 2} : Interval{a, b};
    };
    boxes.rows.push_back(interval(wide_first ? 1 : 0, 2));
    boxes.columns.push_back(interval(wide_first ? 0 : 1, 3));
  }
  if (!regions) {
    for (int i = 0; i < given.shape(0); ++i) boxes.images.push_back(i);
    if (call.has("box_indices")) boxes.images = call.integers("box_indices");
    if (static_cast<int>(boxes.images.size()) != given.shape(0))
      call.fail("box_indices and boxes have another count", std::to_string(boxes.images.size()),
                std::to_string(given.shape(0)));
  }
  for (int image : boxes.images) {
    if (image < 0 || image >= x.shape(0))
      call.fail("a box is of no image", std::to_string(image), "0 to " + std::to_string(x.shape(0) - 1));
  }
  return boxes;
}

/**
 * `target` places of every interval: the grid of resize_bilinear over as many pixels as the interval spans,
 * never beyond its end, and from its end to its start where they are turned round. Outside the image a place
 * is no number.
 */
std::vector<float> places_of(const std::vector<Interval>& intervals, int length, int target, Grid grid) {
  constexpr double kRounding = 1e-6;  // a box that ends on the last pixel shall not fall off it
  std::vector<float> places;
  for (const Interval& each : intervals) {
    double span = std::abs(each.end - each.start), sign = each.end < each.start ? -1 : 1;
    for (int i = 0; i < target; ++i) {
      double place = each.start + sign * std::clamp(grid(i, span + 1, target), 0.0, span);
      bool inside = place >= -kRounding && place <= length - 1 + kRounding;
      places.push_back(inside ? static_cast<float>(std::clamp(place, 0.0, length - 1.0)) : NAN);
    }
  }
  return places;
}

}  // namespace

array crop_resize(Call& call) {
  array x = call.wide("x");
  require_pixels(call, x);
  Boxes boxes = boxes_of(call, x);
  int height = call.integer_or("target_height", 1), width = call.integer_or("target_width", 1);
  require_size(call, height, width);
  int count = static_cast<int>(boxes.rows.size());
  call.checked_length(int64_t{count} * height);
  call.checked_length(int64_t{count} * width);
  bool every = call.has("roi") && call.tensor("roi").shape(2) == 4;
  std::vector<float> rows = places_of(boxes.rows, x.shape(2), height, grid_of(call));
  std::vector<float> columns = places_of(boxes.columns, x.shape(3), width, grid_of(call));
  array row = array(rows.begin(), {count, 1, height, 1}),
        column = array(columns.begin(), {count, 1, 1, width});
  array image = every ? mx::reshape(mx::arange(x.shape(0)), {1, -1, 1, 1})
                      : array(boxes.images.begin(), {count, 1, 1, 1});
  // Outside the image the whole place is pad_value, not only a share of it.
  array pixels = sampled(x, image, row, column,
                         {.nearest = false,
                          .outside = Outside::kNowhere,
                          .value = static_cast<float>(call.number_or("pad_value", 0)),
                          .leading = 2});  // [boxes, images, c, height, width]
  return call.has("roi") ? pixels : mx::squeeze(pixels, 1);
}

}  // namespace tintype
