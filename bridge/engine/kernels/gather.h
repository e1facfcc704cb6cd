#pragma once

#include "mlx/mlx.h"

namespace tintype::kernels {

/*
 * What lies at indices (int32), counted from either end; beyond an axis they take its ends. CPU only; `x` has
 * elements of 1, 2, 4 or 8 bytes, and unless nothing is read the axes that are indexed are not empty.
 */
bool can_gather(const mlx::core::array& x);

/** x [B, A, n, R] at indices [B, I] along `axis`, B being the `batch_dims` first axes: [B, A, I, R]. */
mlx::core::array gather(const mlx::core::array& x, const mlx::core::array& indices, int axis, int batch_dims);

/** x [B, n_1 .. n_k, R] at indices [B, I, k], B being the `batch_dims` first axes: [B, I, R]. */
mlx::core::array gather_nd(const mlx::core::array& x, const mlx::core::array& indices, int batch_dims);

/** x at indices that broadcast to its shape but for `axis`. */
mlx::core::array gather_along(const mlx::core::array& x, const mlx::core::array& indices, int axis);

}  // namespace tintype::kernels
