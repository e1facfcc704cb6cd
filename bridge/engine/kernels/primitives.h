#pragma once

#include <array>
#include <optional>
#include <vector>

#include "kernels/micro_kernel.h"
#include "mlx/mlx.h"

namespace tintype::kernels {

/*
 * The engine's own MLX primitives for the CPU. MLX's wheel for Linux multiplies with reference BLAS, computes
 * exp element by element and converts float16 in software; these take their place. They read float32 or
 * float16, compute in float32 and round once, to `dtype`, which is float32 or float16 too. Strides are free.
 */

/** True if `x` is what the primitives read: float32 or float16 on the CPU. */
bool is_ours(const mlx::core::array& x);
bool is_ours(mlx::core::Dtype dtype);

/** a [..., m, k] times b [..., k, n], plus bias [n]; leading axes broadcast. */
mlx::core::array matmul(const mlx::core::array& a, const mlx::core::array& b,
                        const std::optional<mlx::core::array>& bias, mlx::core::Dtype dtype);
mlx::core::array matmul(const mlx::core::array& a, const mlx::core::array& b,
                        const std::optional<mlx::core::array>& bias = std::nullopt);

/** x [..., k] times weight [n, k] transposed, plus bias [n]. A compressed weight (compressed.h) is expanded
 * while the product is computed, and no longer. */
mlx::core::array linear(const mlx::core::array& x, const mlx::core::array& weight,
                        const std::optional<mlx::core::array>& bias, mlx::core::Dtype dtype);

/** What a two-dimensional convolution needs beside its operands. */
struct ConvPlan {
  std::array<int, 2> strides, dilations, before, after;
  int groups;
};

/** x [n, c, h, w], weight [o, c / groups, kh, kw], bias [o]: channels stay first. Ours only. */
mlx::core::array conv2d(const mlx::core::array& x, const mlx::core::array& weight,
                        const std::optional<mlx::core::array>& bias, const ConvPlan& plan,
                        mlx::core::Dtype dtype);

/** How a pool makes one number of a window; what lies outside the image counts as 0, or not at all. */
enum class PoolKind { kSum, kMax };

/** Windows over [h, w]; `lengths` are those of the result. */
struct PoolPlan {
  std::array<int, 2> kernel, strides, before, lengths;
};

/** True if `pool2d` takes these. */
bool can_pool(const mlx::core::array& x, const PoolPlan& plan);
/** x [n, c, h, w] to [n, c, *lengths]. Ours only. */
mlx::core::array pool2d(const mlx::core::array& x, PoolKind kind, const PoolPlan& plan,
                        mlx::core::Dtype dtype);

/** Windows of `kernel` places along one axis; `length` is that of the result. */
struct AxisPlan {
  int axis, kernel, stride, before, length;
};

/** The same along one axis of x (float32), in float32. CPU only; x and the result have elements. */
mlx::core::array pool_axis(const mlx::core::array& x, PoolKind kind, const AxisPlan& plan);

/** query [..., l, e], key [..., s, e], value [..., s, v] of equal leading axes, mask (bool or ours) that
 * broadcasts to
 * [..., l, s]: softmax(scale q kᵀ + mask) v without the matrix of scores. Ours only. */
mlx::core::array attention(const mlx::core::array& query, const mlx::core::array& key,
                           const mlx::core::array& value, const std::optional<mlx::core::array>& mask,
                           float scale, mlx::core::Dtype dtype);

/** Operands that nobody else reads: where they are results of an element-wise function, a product, a
 * convolution or a normalisation that is not computed yet, this function is computed in the same pass over
 * memory, with the same roundings. */
struct Absorb {
  bool x = false, y = false;
};

/** A function of one value. Ours only. */
mlx::core::array unary(Unary op, const mlx::core::array& x, mlx::core::Dtype dtype, float a = 0, float b = 0,
                       Absorb absorb = {});
/** A function of two that broadcast. Ours only. */
mlx::core::array binary(Binary op, const mlx::core::array& x, const mlx::core::array& y,
                        mlx::core::Dtype dtype, Absorb absorb = {});
/** Ours only. */
mlx::core::array softmax(const mlx::core::array& x, int axis, mlx::core::Dtype dtype);
/** Sums, or means, over the last `axes` axes, which stay with length 1. Ours only. */
mlx::core::array sum_last(const mlx::core::array& x, int axes, bool mean, mlx::core::Dtype dtype);

/** To what gamma and beta of a normalisation belong: the places of the normalised axes, or channels (axis 1).
 */
enum class NormScale { kElements, kChannels };

/** Normalisation of groups of `length` elements that lie `inner` apart, groups side by side. Where `centered`
 * is false the mean is taken for 0 (RMS norm). */
struct NormPlan {
  int64_t length = 1, inner = 1;
  float epsilon = 0;
  bool centered = true;
  NormScale scale = NormScale::kElements;  // kChannels: `inner` is 1

  /** The plan for `axes` of x in [0, rank); nothing unless they are neighbours in order and x has elements.
   */
  static std::optional<NormPlan> over(const mlx::core::array& x, const std::vector<int>& axes,
                                      double epsilon);
};

/** (x - mean) / sqrt(variance + epsilon), times gamma plus beta. Ours only. */
mlx::core::array normalize(const mlx::core::array& x, const NormPlan& plan,
                           const std::optional<mlx::core::array>& gamma,
                           const std::optional<mlx::core::array>& beta, mlx::core::Dtype dtype);

/** `x` row-contiguous; itself where it is already. */
mlx::core::array dense(const mlx::core::array& x);
/** Conversion, fast between float32 and float16. */
mlx::core::array cast(const mlx::core::array& x, mlx::core::Dtype dtype, Absorb absorb = {});

/** MLX's own on other devices and types. */
mlx::core::array sigmoid(const mlx::core::array& x);
mlx::core::array exp(const mlx::core::array& x);

}  // namespace tintype::kernels
