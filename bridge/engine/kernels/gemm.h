#pragma once

#include <cstdint>
#include <functional>

namespace tintype::kernels {

/** A float32 matrix anywhere in memory: element (i, j) lies at data[i * row + j * column]. */
struct Matrix {
  const float* data;
  int64_t row, column;
};

/** An NCHW image and a kernel over it, seen as the matrix [c * kh * kw, oh * ow] that a convolution
 * multiplies. */
struct Patches {
  const float* image;  // [c, h, w]
  int height, width;
  int kernel_height, kernel_width;
  int stride_height, stride_width;
  int dilation_height, dilation_width;
  int top, left;  // padding
  int out_width;
};

/** c [m, n], rows `c_row` apart, += a [m, k] b [k, n]. The order of sums does not depend on the number of
 * threads. */
void multiply(int m, int n, int k, const Matrix& a, const Matrix& b, float* c, int64_t c_row);
void multiply(int m, int n, int k, const Matrix& a, const Patches& b, float* c, int64_t c_row);

/** Calls body(begin, end) on parts of [0, count) that are multiples of `grain`, on all processors. */
void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace tintype::kernels
