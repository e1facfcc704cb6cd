#pragma once

#include <cstdint>

#include "kernels/gemm.h"

namespace tintype::kernels {

/** What a mask's elements are. */
enum class MaskType { kNone, kBool, kFloat16, kFloat32 };

/** One head: query [l, e], key [s, e], value [s, v], mask [l, s] of any strides, output [l, v] dense. */
struct Head {
  Matrix query, key, value;
  const void* mask;
  int64_t mask_row, mask_column;
  void* output;
};

/** The sizes that all heads share. */
struct AttentionSizes {
  int queries, keys, depth, values;  // l, s, e, v
  float scale;
  MaskType mask;
  bool half;  // the output
};

/** Attention of queries [first, last) of one head; scores exist for one block of keys at a time. */
void attend(const AttentionSizes& sizes, const Head& head, int first, int last);

/** How many queries a task should have. */
int attention_chunk(const AttentionSizes& sizes, int64_t heads);

}  // namespace tintype::kernels
