#pragma once

#include <optional>

#include "mlx/mlx.h"

namespace tintype::kernels {

/*
 * The engine's own MLX primitives for the CPU. MLX's wheel for Linux multiplies with reference BLAS and
 * computes exp element by element (2 GFLOP/s, 25 million elements/s here); these take their place wherever
 * MLX computes on the CPU in float32. On any other device and type the functions below are MLX's own ops.
 */

/** a [..., m, k] times b [..., k, n], plus bias [n]; leading axes broadcast. */
mlx::core::array matmul(const mlx::core::array& a, const mlx::core::array& b,
                        const std::optional<mlx::core::array>& bias = std::nullopt);

/** What a two-dimensional convolution needs beside its operands. */
struct ConvPlan {
  std::array<int, 2> strides, dilations, before, after;
  int groups;
};

/** x [n, c, h, w], weight [o, c / groups, kh, kw], bias [o]: channels stay first. CPU and float32 only. */
mlx::core::array conv2d(const mlx::core::array& x, const mlx::core::array& weight,
                        const std::optional<mlx::core::array>& bias, const ConvPlan& plan);

/** True if `x` is what the primitives here compute: float32 on the CPU. */
bool is_ours(const mlx::core::array& x);

mlx::core::array sigmoid(const mlx::core::array& x);
mlx::core::array exp(const mlx::core::array& x);
/** x · sigmoid(scale · x). */
mlx::core::array sigmoid_linear(const mlx::core::array& x, float scale);
mlx::core::array softmax(const mlx::core::array& x, int axis);

}  // namespace tintype::kernels
