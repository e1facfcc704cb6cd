#include "kernels/gemm.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "kernels/micro_kernel.h"

namespace tintype::kernels {

const MicroKernel& micro_kernel() {
  static const MicroKernel* best = [] {
    if (const MicroKernel* kernel = micro_kernel_avx512()) return kernel;
    if (const MicroKernel* kernel = micro_kernel_avx2()) return kernel;
    return micro_kernel_generic();
  }();
  return *best;
}

namespace {

// Blocks that stay in the caches: a depth of both panels, rows of a in the second, columns of b in the third.
constexpr int kDepth = 256, kRowBlock = 120, kColumnBlock = 1024;

/** A part of the product and where its panels are packed. */
struct Panels {
  float *a, *b;
};

// Rows [first, first + count) of a, `rows` at a time, depth by depth; missing rows are 0.
void pack_rows(const Matrix& a, int first, int count, int start, int depth, int rows, float* to) {
  for (int i = 0; i < count; i += rows) {
    int valid = std::min(rows, count - i);
    const float* from = a.data + (first + i) * a.row + start * a.column;
    for (int r = 0; r < rows; ++r) {
      for (int k = 0; k < depth; ++k) to[k * rows + r] = r < valid ? from[r * a.row + k * a.column] : 0.0f;
    }
    to += static_cast<int64_t>(depth) * rows;
  }
}

void pack_columns(const Matrix& b, int first, int count, int start, int depth, int columns, float* to) {
  for (int j = 0; j < count; j += columns) {
    int valid = std::min(columns, count - j);
    const float* from = b.data + start * b.row + (first + j) * b.column;
    if (b.column == 1 && valid == columns) {
      for (int k = 0; k < depth; ++k)
        std::memcpy(to + k * columns, from + k * b.row, sizeof(float) * static_cast<size_t>(columns));
    } else {
      for (int c = 0; c < columns; ++c) {
        for (int k = 0; k < depth; ++k)
          to[k * columns + c] = c < valid ? from[k * b.row + c * b.column] : 0.0f;
      }
    }
    to += static_cast<int64_t>(depth) * columns;
  }
}

// One row of the patch matrix: the pixels that kernel element `k` meets at outputs [first, first + count).
void patch_row(const Patches& p, int k, int first, int count, float* to) {
  int area = p.kernel_height * p.kernel_width, place = k % area;
  const float* plane = p.image + static_cast<int64_t>(k / area) * p.height * p.width;
  int y_offset = place / p.kernel_width * p.dilation_height - p.top;
  int x_offset = place % p.kernel_width * p.dilation_width - p.left;
  int row = first / p.out_width, column = first % p.out_width;
  while (count > 0) {
    int length = std::min(count, p.out_width - column), y = row * p.stride_height + y_offset;
    if (y < 0 || y >= p.height) {
      std::memset(to, 0, sizeof(float) * static_cast<size_t>(length));
    } else {
      const float* line = plane + static_cast<int64_t>(y) * p.width;
      int x = column * p.stride_width + x_offset;
      for (int i = 0; i < length; ++i, x += p.stride_width) to[i] = x >= 0 && x < p.width ? line[x] : 0.0f;
    }
    to += length;
    count -= length;
    column = 0;
    ++row;
  }
}

void pack_columns(const Patches& b, int first, int count, int start, int depth, int columns, float* to) {
  float line[kColumnBlock];
  for (int k = 0; k < depth; ++k) {
    patch_row(b, start + k, first, count, line);
    for (int j = 0; j < count; j += columns) {
      int valid = std::min(columns, count - j);
      float* target = to + (static_cast<int64_t>(j) * depth) + static_cast<int64_t>(k) * columns;
      std::memcpy(target, line + j, sizeof(float) * static_cast<size_t>(valid));
      if (valid < columns)
        std::memset(target + valid, 0, sizeof(float) * static_cast<size_t>(columns - valid));
    }
  }
}

// One packed row block times one packed column block; tiles at the edge go through a buffer.
void multiply_block(const MicroKernel& kernel, int rows, int columns, int depth, const Panels& panels,
                    float* c, int64_t c_row) {
  float edge[16 * 64];
  for (int j = 0; j < columns; j += kernel.columns) {
    const float* b = panels.b + static_cast<int64_t>(j) * depth;
    for (int i = 0; i < rows; i += kernel.rows) {
      const float* a = panels.a + static_cast<int64_t>(i) * depth;
      int height = std::min(kernel.rows, rows - i), width = std::min(kernel.columns, columns - j);
      float* tile = c + i * c_row + j;
      if (height == kernel.rows && width == kernel.columns) {
        kernel.multiply(depth, a, b, tile, c_row);
        continue;
      }
      std::memset(edge, 0, sizeof(float) * static_cast<size_t>(kernel.rows * kernel.columns));
      kernel.multiply(depth, a, b, edge, kernel.columns);
      for (int r = 0; r < height; ++r) {
        for (int k = 0; k < width; ++k) tile[r * c_row + k] += edge[r * kernel.columns + k];
      }
    }
  }
}

template <typename B>
void multiply_part(int m, int first, int last, int k, const Matrix& a, const B& b, float* c, int64_t c_row) {
  const MicroKernel& kernel = micro_kernel();
  static thread_local std::unique_ptr<float[]> buffer(
      new float[kDepth * (kRowBlock + 16 + kColumnBlock + 64)]);
  Panels panels{buffer.get(), buffer.get() + kDepth * (kRowBlock + 16)};
  for (int column = first; column < last; column += kColumnBlock) {
    int columns = std::min(kColumnBlock, last - column);
    for (int start = 0; start < k; start += kDepth) {
      int depth = std::min(kDepth, k - start);
      pack_columns(b, column, columns, start, depth, kernel.columns, panels.b);
      for (int row = 0; row < m; row += kRowBlock) {
        int rows = std::min(kRowBlock, m - row);
        pack_rows(a, row, rows, start, depth, kernel.rows, panels.a);
        multiply_block(kernel, rows, columns, depth, panels, c + row * c_row + column, c_row);
      }
    }
  }
}

template <typename B>
void multiply_all(int m, int n, int k, const Matrix& a, const B& b, float* c, int64_t c_row) {
  bool small = static_cast<int64_t>(m) * n * k < 1 << 18;  // waking a thread costs more
  if (small) return multiply_part(m, 0, n, k, a, b, c, c_row);
  parallel(n, micro_kernel().columns, [&](int64_t first, int64_t last) {
    multiply_part(m, static_cast<int>(first), static_cast<int>(last), k, a, b, c, c_row);
  });
}

}  // namespace

void multiply(int m, int n, int k, const Matrix& a, const Matrix& b, float* c, int64_t c_row) {
  multiply_all(m, n, k, a, b, c, c_row);
}

void multiply(int m, int n, int k, const Matrix& a, const Patches& b, float* c, int64_t c_row) {
  multiply_all(m, n, k, a, b, c, c_row);
}

}  // namespace tintype::kernels
