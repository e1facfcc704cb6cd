#include "kernels/gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/tail.h"

namespace tintype::kernels {

const MicroKernel& micro_kernel() {
  static const MicroKernel* best = [] {
    if (const MicroKernel* kernel = micro_kernel_avx512()) return kernel;
    if (const MicroKernel* kernel = micro_kernel_avx2()) return kernel;
    return micro_kernel_generic();
  }();
  return *best;
}

void copy_pixels(const Patches& p, const void* line, int x, int count, float outside, float* to) {
  int step = p.stride_width, before = x < 0 ? std::min(count, (-x + step - 1) / step) : 0;
  int inside = std::clamp((p.width - x + step - 1) / step, before, count) - before;
  std::fill(to, to + before, outside);
  std::fill(to + before + inside, to + count, outside);
  to += before, x += before * step;
  if (inside <= 0) return;
  if (p.half && step == 1) {
    micro_kernel().widen(inside, static_cast<const uint16_t*>(line) + x, to);
  } else if (p.half) {
    for (int i = 0; i < inside; ++i)
      micro_kernel().widen(1, static_cast<const uint16_t*>(line) + x + i * step, to + i);
  } else if (step == 1) {
    std::memcpy(to, static_cast<const float*>(line) + x, sizeof(float) * static_cast<size_t>(inside));
  } else {
    for (int i = 0; i < inside; ++i) to[i] = static_cast<const float*>(line)[x + i * step];
  }
}

namespace {

// A product's rows may lie pages apart, where the processor does not foresee them: they are fetched before
// their turn.
void fetch_row(const Tile& tile, int i, const Product& c) {
  constexpr int kAhead = 6;
  constexpr int64_t kLine = 64;  // bytes of the cache
  if (i + kAhead >= tile.rows) return;
  int64_t size = c.half ? 2 : 4;
  const char* row = static_cast<const char*>(c.data) + ((tile.row + i + kAhead) * c.row + tile.column) * size;
  for (int64_t at = 0; at < tile.columns * size; at += kLine) __builtin_prefetch(row + at, /*for writing*/ 1);
}

}  // namespace

void finish(const Tile& tile, float* sums, int64_t width, const Product& c) {
  const MicroKernel& kernel = micro_kernel();
  for (int i = 0; i < tile.rows; ++i) {
    float* line = sums + i * width;
    fetch_row(tile, i, c);
    if (c.bias) {
      const float* bias = c.bias + (c.bias_of_rows ? tile.row + i : tile.column);
      kernel.binary(Binary::kAdd, tile.columns, line, 1, bias, c.bias_of_rows ? 0 : 1, line);
    }
    int64_t place = (tile.row + i) * c.row + tile.column;
    if (c.tail) c.tail->apply(c.place + place, tile.columns, line);
    if (c.half)
      kernel.narrow(tile.columns, line, static_cast<uint16_t*>(c.data) + place);
    else
      std::memcpy(static_cast<float*>(c.data) + place, line,
                  sizeof(float) * static_cast<size_t>(tile.columns));
  }
}

namespace {

// A task is a tile of c of this size; with a depth of both factors it stays in the second cache.
constexpr int kDepth = 256, kRowBlock = 480, kColumnBlock = 256;

// Half of that where it would leave threads without work.
int columns_of_task(int row_blocks, int n) {
  constexpr int kTasksOfThread = 4;
  bool enough = int64_t{row_blocks} * (n / kColumnBlock) >= int64_t{kTasksOfThread} * threads();
  return enough ? kColumnBlock : kColumnBlock / 2;
}

int64_t rounded_up(int64_t x, int64_t unit) {
  return (x + unit - 1) / unit * unit;
}

const void* at(const void* data, int64_t element, bool half) {
  return static_cast<const char*>(data) + element * (half ? 2 : 4);
}

void pack_columns(const MicroKernel& kernel, const Matrix& b, int first, int count, int start, int depth,
                  float* to) {
  const void* from = at(b.data, start * b.row + first * b.column, b.half);
  kernel.pack({from, b.column, b.row, b.half}, count, depth, kernel.columns, to);
}

// One row of the patch matrix: the pixels that kernel element `k` meets at outputs [first, first + count).
void patch_row(const Patches& p, int k, int first, int count, float* to) {
  int area = p.kernel_height * p.kernel_width, place = k % area;
  int64_t plane = static_cast<int64_t>(k / area) * p.height * p.width;
  int y_offset = place / p.kernel_width * p.dilation_height - p.top;
  int x_offset = place % p.kernel_width * p.dilation_width - p.left;
  int row = first / p.out_width, column = first % p.out_width;
  while (count > 0) {
    int length = std::min(count, p.out_width - column), y = row * p.stride_height + y_offset;
    if (y < 0 || y >= p.height) {
      std::fill(to, to + length, 0.0f);
    } else {
      const void* line = at(p.image, plane + static_cast<int64_t>(y) * p.width, p.half);
      copy_pixels(p, line, column * p.stride_width + x_offset, length, 0, to);
    }
    to += length;
    count -= length;
    column = 0;
    ++row;
  }
}

void pack_columns(const MicroKernel& kernel, const Patches& b, int first, int count, int start, int depth,
                  float* to) {
  float line[kColumnBlock + 64];
  int padded = static_cast<int>(rounded_up(count, kernel.columns));
  std::fill(line + count, line + padded, 0.0f);
  size_t bytes = sizeof(float) * static_cast<size_t>(kernel.columns);
  for (int k = 0; k < depth; ++k) {
    patch_row(b, start + k, first, count, line);
    for (int j = 0; j < padded; j += kernel.columns)
      std::memcpy(to + static_cast<int64_t>(j) * depth + static_cast<int64_t>(k) * kernel.columns, line + j,
                  bytes);
  }
}

/** a in panels of the kernel's rows, a depth after the other. */
struct PackedRows {
  const float* data;
  int64_t rows;  // rounded up

  const float* panel(int row, int start, int depth) const {
    return data + rows * start + static_cast<int64_t>(row) * depth;
  }
};

PackedRows pack_all_rows(const MicroKernel& kernel, int m, int k, const Matrix& a, float* to) {
  int64_t padded = rounded_up(m, kernel.rows), panels = padded / kernel.rows,
          depths = (k + kDepth - 1) / kDepth;
  auto pack = [&](int64_t task) {
    int row = static_cast<int>(task % panels) * kernel.rows, start = static_cast<int>(task / panels) * kDepth;
    int depth = std::min(kDepth, k - start);
    const void* from = at(a.data, row * a.row + start * a.column, a.half);
    kernel.pack({from, a.row, a.column, a.half}, std::min(kernel.rows, m - row), depth, kernel.rows,
                to + padded * start + static_cast<int64_t>(row) * depth);
  };
  parallel(panels * depths, 64, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) pack(i);
  });
  return {to, padded};
}

// Adds what one depth gives to the tile's sums, or makes them at the first.
void accumulate(const MicroKernel& kernel, const Tile& tile, int start, int depth, const PackedRows& a,
                const float* packed, float* sums, int width) {
  for (int j = 0; j < width; j += kernel.columns) {
    for (int i = 0; i < tile.rows; i += kernel.rows) {
      kernel.multiply(std::min(kernel.rows, tile.rows - i), depth, a.panel(tile.row + i, start, depth),
                      packed + static_cast<int64_t>(j) * depth, sums + static_cast<int64_t>(i) * width + j,
                      width, start > 0);
    }
  }
}

/** Memory for a tile's sums and a depth of packed columns. */
struct TileMemory {
  int width;
  float *sums, *packed;

  TileMemory(const MicroKernel& kernel, int columns)
      : width(static_cast<int>(rounded_up(columns, kernel.columns))) {
    static thread_local Scratch scratch;
    sums = scratch.floats(static_cast<size_t>(width) * static_cast<size_t>(kRowBlock + kDepth));
    packed = sums + static_cast<int64_t>(width) * kRowBlock;
  }
};

template <typename B>
void multiply_tile(const Tile& tile, int k, const PackedRows& a, const B& b, const Product& c) {
  const MicroKernel& kernel = micro_kernel();
  TileMemory memory(kernel, tile.columns);
  for (int start = 0; start < k; start += kDepth) {
    int depth = std::min(kDepth, k - start);
    pack_columns(kernel, b, tile.column, tile.columns, start, depth, memory.packed);
    accumulate(kernel, tile, start, depth, a, memory.packed, memory.sums, memory.width);
  }
  if (k == 0) std::fill(memory.sums, memory.sums + static_cast<int64_t>(tile.rows) * memory.width, 0.0f);
  finish(tile, memory.sums, memory.width, c);
}

// All tiles of the same columns where there is one depth: the columns are packed once.
template <typename B>
void multiply_strip(int m, int height, const Tile& first, int k, const PackedRows& a, const B& b,
                    const Product& c) {
  const MicroKernel& kernel = micro_kernel();
  TileMemory memory(kernel, first.columns);
  pack_columns(kernel, b, first.column, first.columns, 0, k, memory.packed);
  for (int row = 0; row < m; row += height) {
    Tile tile{row, std::min(height, m - row), first.column, first.columns};
    accumulate(kernel, tile, 0, k, a, memory.packed, memory.sums, memory.width);
    finish(tile, memory.sums, memory.width, c);
  }
}

constexpr int64_t kStrips = 32;  // that keep every processor busy

template <typename B>
void multiply_all(int m, int n, int k, const Matrix& a, const B& b, const Product& c) {
  if (m == 0 || n == 0) return;
  const MicroKernel& kernel = micro_kernel();
  static thread_local Scratch scratch;
  float* packed = scratch.floats(static_cast<size_t>(rounded_up(m, kernel.rows)) * static_cast<size_t>(k));
  PackedRows rows = pack_all_rows(kernel, m, k, a, packed);
  int blocks = (m + kRowBlock - 1) / kRowBlock;
  int height = static_cast<int>(rounded_up((m + blocks - 1) / blocks, kernel.rows));
  bool alone = static_cast<int64_t>(m) * n * k < 1 << 18;  // waking a thread costs more
  int width = alone ? kColumnBlock : columns_of_task(blocks, n);
  int64_t strips = (n + width - 1) / width;
  bool in_strips = k > 0 && k <= kDepth && strips >= kStrips;
  if (in_strips) blocks = 1;
  auto task = [&](int64_t index) {
    int row = static_cast<int>(index % blocks) * height, column = static_cast<int>(index / blocks) * width;
    Tile tile{row, std::min(height, m - row), column, std::min(width, n - column)};
    if (in_strips) return multiply_strip(m, height, tile, k, rows, b, c);
    if (tile.rows > 0) multiply_tile(tile, k, rows, b, c);
  };
  int64_t tasks = blocks * strips;
  if (alone) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
  } else {
    parallel_tasks(tasks, task);
  }
  scratch.trim();
}

}  // namespace

void multiply(int m, int n, int k, const Matrix& a, const Matrix& b, const Product& c) {
  multiply_all(m, n, k, a, b, c);
}

void multiply(int m, int n, int k, const Matrix& a, const Patches& b, const Product& c) {
  multiply_all(m, n, k, a, b, c);
}

}  // namespace tintype::kernels
