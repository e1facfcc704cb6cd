#pragma once

#include <string_view>

#include "mlx/mlx.h"

namespace tintype::kernels {

/** What becomes of an element and an update, one update after the other. A whole quotient is rounded towards
 * 0, and 0 where the update is 0. */
enum class Scatter { kUpdate, kAdd, kSub, kMul, kDiv, kMax, kMin };

/*
 * Copies of `data` with updates (of the same type) at indices as gather.h has them. CPU only; `data` is
 * float32, float16 or int32 and not empty.
 */
bool can_scatter(const mlx::core::array& data);

/** data [A, n, R], indices [I], updates [A, I, R]; n is the length of `axis`. */
mlx::core::array scatter(Scatter mode, const mlx::core::array& data, const mlx::core::array& indices,
                         const mlx::core::array& updates, int axis);

/** data [n_1 .. n_k, R], indices [I, k], updates [I, R]. */
mlx::core::array scatter_nd(Scatter mode, const mlx::core::array& data, const mlx::core::array& indices,
                            const mlx::core::array& updates);

/** indices and updates alike, no longer than data but on `axis`. */
mlx::core::array scatter_along(Scatter mode, const mlx::core::array& data, const mlx::core::array& indices,
                               const mlx::core::array& updates, int axis);

}  // namespace tintype::kernels
