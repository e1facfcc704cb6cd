#pragma once

#include <vector>

#include "mlx/mlx.h"

namespace tintype::kernels {

/** Slices of x along `axis`, as mlx::core::take gives them; `indices` are int32 within the axis. */
mlx::core::array take(const mlx::core::array& x, const mlx::core::array& indices, int axis);

/** For each place of an axis its two neighbours in x, and the share of the second one. */
struct Neighbours {
  std::vector<int> low, high;
  std::vector<float> share;
};

/** x along `axis` at places between its elements: low + (high - low) · share, in float32. Ours only. */
mlx::core::array interpolate(const mlx::core::array& x, int axis, Neighbours places, mlx::core::Dtype dtype);

/** What lies outside an image. */
enum class Outside {
  kConstant,  // a value, also as the neighbour of a place near the border
  kBorder,    // the border's pixels
  kNowhere,   // the border's pixels, but a value at places that are no number
};

/** How `sample` looks pixels up. */
struct SamplePlan {
  bool nearest;
  Outside outside;
  float value;
  int leading;  // axes of the places before the channels
};

/** Pixels of images [b, c, h, w] (float32) at places `image` (int32), `y`, `x` (float32, in pixels), all
 * [*L, *R] with `leading` axes L: [*L, c, *R]. CPU only. */
mlx::core::array sample(const mlx::core::array& images, const mlx::core::array& image,
                        const mlx::core::array& y, const mlx::core::array& x, const SamplePlan& plan);

}  // namespace tintype::kernels
