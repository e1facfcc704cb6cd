#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/parallel.h"
#include "mlx/mlx.h"

namespace tintype::kernels {

/**
 * A weight in its stored form: codes of a few bits in the mapped file, and the parameters that make numbers
 * of them, (code - offset) · scale or table[code]. Neighbouring codes share parameters: along each axis,
 * `blocks[i]` of `lengths[i]` elements (innermost axis first; axes that can be one axis are).
 */
struct CompressedWeight {
  mlx::core::Shape shape;
  mlx::core::Dtype dtype = mlx::core::float32;  // float32 or float16
  const uint8_t* codes = nullptr;               // packed low bits first
  int bits = 8;
  bool is_signed = false;
  std::vector<int64_t> lengths, blocks;
  std::optional<mlx::core::array> scale,
      offset;                             // a value a block; float32, float16; offset also 8-bit integers
  std::optional<mlx::core::array> table;  // `entries` values a block
  int entries = 0;
  std::shared_ptr<const void> owner;  // of the codes

  /** Sets lengths and blocks from the parameters' count an axis; false if it does not divide the shape. */
  bool divide(const std::vector<int>& counts);
};

/** The weight's numbers, dense in `scratch`; valid until its next use. */
const void* expand(const CompressedWeight& weight, Scratch& scratch);

/** The weight's numbers as an array that is computed when it is needed and freed after its last use. CPU
 * only. */
mlx::core::array expand(const std::shared_ptr<const CompressedWeight>& weight);

/** Rows of the weight's first axis, [*indices' shape, *the other axes]; only they are decoded. `indices` are
 * int32 within the axis. CPU only. */
mlx::core::array take_rows(const std::shared_ptr<const CompressedWeight>& weight,
                           const mlx::core::array& indices);

/** The weight behind an array made by `expand`, for ops that read it without the array; else null. */
std::shared_ptr<const CompressedWeight> compressed_weight_of(const mlx::core::array& x);

}  // namespace tintype::kernels
