#pragma once

#include <vector>

#include "mlx/array.h"

namespace tintype::kernels {

/**
 * Computes the arrays, as mlx::core::eval does. Where nothing but the engine's own primitives and views is
 * waiting, that happens on the calling thread: MLX would hand the work to a thread of its own and wake the
 * caller afterwards, which takes longer than many a small program. MLX's own primitives go to its thread,
 * large ones one after the other: false if tasks were left out meanwhile, and then some outputs are not
 * computed. What a primitive of the engine's throws (bad_alloc) comes out of here, whichever thread computed
 * it.
 */
[[nodiscard]] bool evaluate(std::vector<mlx::core::array> outputs);

}  // namespace tintype::kernels
