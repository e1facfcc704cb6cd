#pragma once

#include "mlx/mlx.h"

namespace tintype {

/*
 * The engine's one rule about float16:
 *
 *   On the CPU float16 is a storage type. An op that computes reads its float16 arguments as float32,
 * computes in float32 throughout, and rounds its result once, to the type that the program declares (the
 * executor does that for every op). So sums have float32 accumulators, a value is exact up to half a unit in
 * the last place of its op, and what overflows float16 becomes infinite after the same op as on a device.
 * MLX's own float16 loops on the CPU are scalar, and its softmax and reductions add in float16. Where
 * kernels/primitives.h has the op, float16 is read and written by its loop (Call::is_ours) and no float32
 * copy exists.
 *
 *   On a GPU float16 stays float16 between kernels: MLX's matmul, convolution, attention and norms accumulate
 * in float32 by themselves; softmax is asked to (`precise`), and sums are widened.
 *
 *   Constants are widened once a model, not once a call (Call::wide). Data movement never converts.
 */

/** `x` in the type that arithmetic on it is done in. */
mlx::core::array widened(const mlx::core::array& x);

/** `x` in float32 on every device, for sums and statistics. */
mlx::core::array widened_for_sum(const mlx::core::array& x);

}  // namespace tintype
