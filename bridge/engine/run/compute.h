#pragma once

#include <vector>

#include "mlx/array.h"

namespace tintype {

/**
 * Computes the arrays. MLX's own primitives write to memory without a look whether they were given any: where
 * the process or the machine has a limit that lets an allocation fail, the system is asked first, and a
 * refusal is an EngineError (TT_ERROR_OUT_OF_MEMORY). What does not fit at once is computed one array after
 * another. A call that is cancelled meanwhile ends here (TT_ERROR_CANCELLED).
 */
void compute(std::vector<mlx::core::array> outputs);

}  // namespace tintype
