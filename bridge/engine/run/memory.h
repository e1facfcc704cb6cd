#pragma once

#include <functional>

#include "mlx/array.h"
#include "tintype.h"

namespace tintype {

/** An array over somebody else's contiguous bytes, without a copy where MLX allows it; `release` ends the
 * loan. */
mlx::core::array borrowed_array(const void* data, const mlx::core::Shape& shape, mlx::core::Dtype dtype,
                                const std::function<void()>& release);

/** The row-contiguous tensor of `shape` over these bytes, without a name or a type. */
tt_tensor row_contiguous_tensor(const void* data, const mlx::core::Shape& shape);

/** An array with its own copy of a strided tensor. */
mlx::core::array copied_array(const tt_tensor& tensor, mlx::core::Dtype dtype);

/** Bools of bytes: false where 0. */
mlx::core::array as_bools(const mlx::core::array& bytes);

/** True if the strides are those of a row-contiguous array. */
bool is_row_contiguous(const tt_tensor& tensor);

/** `x` evaluated, row-contiguous and in memory that nobody outside the engine owns. */
mlx::core::array owned_contiguous(const mlx::core::array& x);

}  // namespace tintype
