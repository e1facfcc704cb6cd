#pragma once

#include "mlx/mlx.h"

namespace tintype::kernels {

/** x [..., m, k] times y [..., k, n], all int32, on the CPU; leading axes broadcast, sums wrap around. */
mlx::core::array multiply_integers(const mlx::core::array& x, const mlx::core::array& y);

}  // namespace tintype::kernels
