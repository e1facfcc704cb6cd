#pragma once

#include "mlx/mlx.h"

namespace tintype::kernels {

/** Places (int32) of the first `count` elements of every line along the last axis, in order of their size,
 * smallest first or largest first; equal ones in the order in which they lie, NaN last. */
mlx::core::array order_last(const mlx::core::array& x, int count, bool ascending);

/** True if `order_last` reads such numbers: float32 or int32 on the CPU. */
bool can_order(const mlx::core::array& x);

}  // namespace tintype::kernels
