#pragma once

#include <optional>
#include <vector>

#include "kernels/micro_kernel.h"
#include "mlx/mlx.h"

namespace tintype::kernels {

/**
 * op of operands that broadcast; nothing where the engine does not compute it: on another device, and for
 * other types than `op` reads (a float is float32 or float16). `dtype` is float32 or float16 where `op` makes
 * floats, else a type as `op` makes it.
 */
std::optional<mlx::core::array> element(Element op, const std::vector<mlx::core::array>& operands,
                                        mlx::core::Dtype dtype, float a = 0, float b = 0);

/** a where `condition` (bool) holds, else b; of the type of both. MLX's own on other devices and types. */
mlx::core::array select(const mlx::core::array& condition, const mlx::core::array& a,
                        const mlx::core::array& b);

}  // namespace tintype::kernels
