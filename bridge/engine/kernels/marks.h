#pragma once

#include <cstdint>
#include <vector>

#include "mlx/mlx.h"

namespace tintype::kernels {

/*
 * Tensors that are mostly one value, and the places of what is not. CPU only, of elements of 1, 2, 4 or 8
 * bytes.
 */
bool can_mark(mlx::core::Dtype dtype);

/** x [..., rows, columns] with 0 but for `lower` diagonals below the main one and `upper` above; -1 keeps
 * them all. */
mlx::core::array band_part(const mlx::core::array& x, int lower, int upper);

/** indices (int32) [A, B] to [A, size, B], the new axis being `axis`: `on` where the place is the index, else
 * `off`; both are single values of the result's type. */
mlx::core::array one_hot(const mlx::core::array& indices, int size, int axis, const mlx::core::array& on,
                         const mlx::core::array& off);

/** Flags that are set, counted in pieces. */
class SetFlags {
 public:
  SetFlags(const bool* flags, int64_t size);

  int64_t count() const { return firsts_.back(); }
  /** Their places, in order, a row of `shape.size()` numbers each: [count, rank]. */
  void write_places(const mlx::core::Shape& shape, int32_t* places) const;

 private:
  const bool* flags_;
  int64_t size_;
  std::vector<int64_t> firsts_;  // of every piece, and behind the last
};

}  // namespace tintype::kernels
