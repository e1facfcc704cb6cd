#pragma once

#include <cstdint>

#include "kernels/micro_kernel.h"

namespace tintype::kernels {

/** A matrix anywhere in memory, float32 or float16: element (i, j) lies at data[i * row + j * column]. */
struct Matrix {
  const void* data;
  int64_t row, column;
  bool half = false;
};

/** An NCHW image and a kernel over it, seen as the matrix [c * kh * kw, oh * ow] that a convolution
 * multiplies. */
struct Patches {
  const void* image;  // [c, h, w]
  int height, width;
  int kernel_height, kernel_width;
  int stride_height, stride_width;
  int dilation_height, dilation_width;
  int top, left;  // padding
  int out_width;
  bool half = false;
};

class Tail;

/** Where a product goes: row-contiguous but for `row`; rounded once if `half`. */
struct Product {
  void* data;
  int64_t row;
  bool half = false;
  const float* bias = nullptr;  // added to every row [n], or, if `bias_of_rows`, to every column [m]
  bool bias_of_rows = false;
  const Tail* tail = nullptr;  // steps after that
  int64_t place = 0;           // of the product in the tail's result
};

/** A part of a product: its place and size. */
struct Tile {
  int row, rows, column, columns;
};

/** Stores the tile's `sums`, rows of `width`, in c, after c's bias and tail; `sums` are overwritten. */
void finish(const Tile& tile, float* sums, int64_t width, const Product& c);

/** Pixels x, x + stride, … of one image line; what lies outside is `outside`. */
void copy_pixels(const Patches& p, const void* line, int x, int count, float outside, float* to);

/** c [m, n] = a [m, k] b [k, n] + bias. Sums are float32, in an order that does not depend on the threads. */
void multiply(int m, int n, int k, const Matrix& a, const Matrix& b, const Product& c);
void multiply(int m, int n, int k, const Matrix& a, const Patches& b, const Product& c);

}  // namespace tintype::kernels
