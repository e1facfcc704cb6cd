// Images: uint8 [height, width, 3] in RGB order outside, [1, channels, height, width] in the program's order
// inside.
#include "run/images.h"

#include <algorithm>

#include "mlx/mlx.h"
#include "ops/call.h"
#include "run/available_memory.h"
#include "run/memory.h"
#include "support/error.h"

namespace tintype {

namespace {

bool has_color(const ImageDescription& image) {
  return image.layout == ColorLayout::kRGB || image.layout == ColorLayout::kBGR;
}

tt_color_layout abi_layout(ColorLayout layout) {
  switch (layout) {
    case ColorLayout::kRGB:
      return TT_RGB;
    case ColorLayout::kBGR:
      return TT_BGR;
    case ColorLayout::kGrayscale:
      return TT_GRAYSCALE;
    case ColorLayout::kGrayscaleFloat16:
      return TT_GRAYSCALE_FLOAT16;
    default:
      return TT_NO_COLOR;
  }
}

bool holds(const DimensionRange& range, int64_t value) {
  return value >= std::max<int64_t>(range.lowest, 1) && (range.highest < 0 || value <= range.highest);
}

std::string range_text(const DimensionRange& range) {
  if (range.lowest == range.highest) return std::to_string(range.lowest);
  return std::to_string(range.lowest) +
         (range.highest < 0 ? " or more" : " to " + std::to_string(range.highest));
}

std::string expected_size(const ImageDescription& image) {
  if (image.enumerated.empty())
    return "width " + range_text(image.width) + ", height " + range_text(image.height);
  std::string text;
  for (size_t i = 0; i < image.enumerated.size() && i < 8; ++i) {
    const auto& [width, height] = image.enumerated[i];
    text += (i ? " or " : "") + std::to_string(width) + " x " + std::to_string(height);
  }
  return text;
}

array swapped_channels(const array& x) {  // RGB and BGR, of [1, 3, H, W]
  return mx::take(x, array({2, 1, 0}), 1);
}

}  // namespace

DType image_dtype(const ImageDescription& image) {
  return image.layout == ColorLayout::kGrayscaleFloat16 ? DType::kFloat16 : DType::kUInt8;
}

void describe_image(const ImageDescription& image, tt_feature& feature) {
  auto fixed = [](const DimensionRange& range) { return range.lowest == range.highest ? range.lowest : -1; };
  feature.content = TT_IMAGE;
  feature.color_layout = abi_layout(image.layout);
  feature.dtype = abi_dtype(image_dtype(image));
  feature.rank = has_color(image) ? 3 : 2;
  bool several = !image.enumerated.empty();
  feature.shape[0] = several ? -1 : fixed(image.height);
  feature.shape[1] = several ? -1 : fixed(image.width);
  feature.shape[2] = has_color(image) ? 3 : 0;
  feature.width[0] = image.width.lowest, feature.width[1] = image.width.highest;
  feature.height[0] = image.height.lowest, feature.height[1] = image.height.highest;
  for (const auto& [width, height] : image.enumerated) {
    feature.width[0] = std::min(feature.width[0], width),
    feature.width[1] = std::max(feature.width[1], width);
    feature.height[0] = std::min(feature.height[0], height);
    feature.height[1] = std::max(feature.height[1], height);
  }
}

void check_image(const std::string& place, const ImageDescription& image, const TensorType& type) {
  int64_t channels = has_color(image) ? 3 : 1;
  bool fits = type.any_rank || (type.shape.size() == 4 && (type.shape[0] == 1 || type.shape[0] < 0) &&
                                (type.shape[1] == channels || type.shape[1] < 0));
  if (fits) return;
  refuse(TT_ERROR_FORMAT,
         {place, "the program's tensor cannot hold the image", describe_shape(type.shape),
          "[1, " + std::to_string(channels) + ", height, width]", "Convert or download the package again."});
}

void check_image_size(const Feature& feature, int64_t width, int64_t height) {
  const ImageDescription& image = *feature.image;
  bool fits = image.enumerated.empty()
                  ? holds(image.width, width) && holds(image.height, height)
                  : std::find(image.enumerated.begin(), image.enumerated.end(),
                              std::pair<int64_t, int64_t>(width, height)) != image.enumerated.end();
  if (fits) return;
  refuse(TT_ERROR_INVALID_ARGUMENT, {"input " + quoted(feature.name), "wrong size of the image",
                                     "width " + std::to_string(width) + ", height " + std::to_string(height),
                                     expected_size(image), "Scale the picture."});
}

array image_to_tensor(const Feature& feature, const tt_tensor& tensor) {
  const ImageDescription& image = *feature.image;
  std::string place = "input " + quoted(feature.name);
  DType wanted = image_dtype(image);
  if (tensor.dtype != abi_dtype(wanted)) {
    DType known = dtype_of_abi(tensor.dtype);
    std::string got = known == DType::kUnused ? "dtype " + std::to_string(tensor.dtype) : name_of(known);
    refuse(TT_ERROR_INVALID_ARGUMENT,
           {place, "wrong dtype of the image", got, name_of(wanted), "Convert the picture."});
  }
  int32_t rank = has_color(image) ? 3 : 2;
  if (tensor.rank != rank || (rank == 3 && tensor.shape[2] != 3)) {
    int32_t shown = std::clamp<int32_t>(tensor.rank, 0, TT_MAX_RANK);
    refuse(TT_ERROR_INVALID_ARGUMENT,
           {place, "wrong shape of the image",
            describe_shape(std::vector<int64_t>(tensor.shape, tensor.shape + shown)),
            rank == 3 ? "[height, width, 3]" : "[height, width]", "Convert the picture."});
  }
  check_image_size(feature, tensor.shape[1], tensor.shape[0]);
  if (tensor.shape[0] > kLongestDimension || tensor.shape[1] > kLongestDimension ||
      !fits_in_memory(static_cast<uint64_t>(tensor.shape[0]) * static_cast<uint64_t>(tensor.shape[1]) * 4)) {
    refuse(TT_ERROR_OUT_OF_MEMORY,
           {place, "the image is larger than memory",
            "width " + std::to_string(tensor.shape[1]) + ", height " + std::to_string(tensor.shape[0]), "",
            "Scale the picture."});
  }
  if (!tensor.data) refuse(TT_ERROR_INVALID_ARGUMENT, {place, "its data is NULL"});
  array pixels = copied_array(tensor, mlx_dtype(wanted));
  if (rank == 2) return mx::expand_dims(pixels, std::vector<int>{0, 1});  // [1, 1, H, W]
  array planes = mx::expand_dims(mx::transpose(pixels, {2, 0, 1}), 0);    // [1, 3, H, W]
  return image.layout == ColorLayout::kBGR ? swapped_channels(planes) : planes;
}

array tensor_to_image(const ImageDescription& image, const array& tensor) {
  array planes = image.layout == ColorLayout::kBGR ? swapped_channels(tensor) : tensor;
  array pixels = has_color(image) ? mx::transpose(mx::squeeze(planes, 0), {1, 2, 0})  // [H, W, 3]
                                  : mx::squeeze(planes, std::vector<int>{0, 1});      // [H, W]
  if (image_dtype(image) == DType::kFloat16) return mx::astype(pixels, mx::float16);
  // NaN becomes 0: what a cast makes of it differs from machine to machine.
  array finite = mx::nan_to_num(mx::astype(pixels, mx::float32));
  return mx::astype(mx::clip(mx::round(finite), array(0.0f), array(255.0f)), mx::uint8);
}

}  // namespace tintype
