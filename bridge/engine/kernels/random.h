#pragma once

#include <cstdint>

#include "mlx/mlx.h"

namespace tintype::kernels {

/** mlx::core::random::uniform in float32 for the key of `seed`, to the bit. CPU only. */
mlx::core::array random_uniform(const mlx::core::Shape& shape, float low, float high, uint64_t seed);

}  // namespace tintype::kernels
