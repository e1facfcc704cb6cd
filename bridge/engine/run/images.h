#pragma once

#include <string>

#include "mlx/array.h"
#include "program/program.h"
#include "tintype.h"

namespace tintype {

/** The dtype that an image travels with: uint8, or float16 in gray. */
DType image_dtype(const ImageDescription& image);

/** Fills in what the C ABI says of an image: dtype, rank and shape that it travels with, layout, sizes. */
void describe_image(const ImageDescription& image, tt_feature& feature);

/** TT_ERROR_FORMAT unless the program's tensor can hold the image: [1, channels, height, width]. */
void check_image(const std::string& place, const ImageDescription& image, const TensorType& type);

/**
 * [height, width, 3] in RGB order or [height, width], as callers have it → [1, channels, height, width] in
 * the program's order. TT_ERROR_INVALID_ARGUMENT for another dtype, rank or size.
 */
mlx::core::array image_to_tensor(const Feature& feature, const tt_tensor& tensor);

/** The size of a [1, channels, height, width] that a caller hands in, checked as an image's is. */
void check_image_size(const Feature& feature, int64_t width, int64_t height);

/** [1, channels, height, width] of values 0 to 255 → as callers have it, rounded and limited to what uint8
 * holds.
 */
mlx::core::array tensor_to_image(const ImageDescription& image, const mlx::core::array& tensor);

}  // namespace tintype
