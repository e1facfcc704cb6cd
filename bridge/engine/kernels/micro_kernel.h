#pragma once

namespace tintype::kernels {

/**
 * The innermost loops, once an instruction set. Their files are compiled with that set's flags, so nothing
 * there may use inline functions that other files share: the linker could hand those the wrong instructions.
 */
struct MicroKernel {
  int rows;     // of a tile
  int columns;  // of a tile
  /** c [rows, columns] += a [depth, rows] transposed times b [depth, columns]. */
  void (*multiply)(int depth, const float* a, const float* b, float* c, long row_stride);
  /** y = x · sigmoid(scale · x), sigmoid(x), exp(x), element by element. */
  void (*sigmoid_linear)(long count, float scale, const float* x, float* y);
  void (*sigmoid)(long count, const float* x, float* y);
  void (*exponential)(long count, const float* x, float* y);
  /** y = softmax of x over `count` neighbouring elements. */
  void (*softmax)(long count, const float* x, float* y);
};

/** Null where the compiler or the machine lacks the instructions. */
const MicroKernel* micro_kernel_generic();
const MicroKernel* micro_kernel_avx2();
const MicroKernel* micro_kernel_avx512();

/** The best of them for this machine. */
const MicroKernel& micro_kernel();

}  // namespace tintype::kernels
