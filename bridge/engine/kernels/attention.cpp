#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/parallel.h"

namespace tintype::kernels {

namespace {

// A multiple of every kernel's rows; scores of a panel of queries stay in the first cache.
constexpr int kKeyBlock = 240;

/*
 * Everything is turned: scores are [keys, queries] and the output is [values, queries], so that a vector
 * holds neighbouring queries. Maxima, exponentials and sums need nothing across lanes, and the scores of one
 * product are already in the layout that the next one reads.
 */
struct Buffers {
  float *queries, *keys, *values, *scores, *mask;  // packed; one panel of scores
  float *outputs, *highest, *totals;               // a panel of queries after the other
};

int rounded_up(int x, int unit) {
  return (x + unit - 1) / unit * unit;
}

Buffers divide(Scratch& scratch, const MicroKernel& kernel, const AttentionSizes& sizes, int panels) {
  auto columns = static_cast<size_t>(kernel.columns), count = static_cast<size_t>(panels);
  auto depth = static_cast<size_t>(sizes.depth), rows = static_cast<size_t>(kernel.rows);
  auto values = static_cast<size_t>(rounded_up(sizes.values, kernel.rows));
  size_t parts[] = {count * depth * columns, kKeyBlock * depth + rows, kKeyBlock * values,
                    kKeyBlock * columns,     kKeyBlock * columns,      count * values * columns,
                    count * columns,         count * columns};
  size_t total = 0;
  for (size_t part : parts) total += part;
  float* at = scratch.floats(total);
  Buffers buffers{};
  float** places[] = {&buffers.queries, &buffers.keys,    &buffers.values,  &buffers.scores,
                      &buffers.mask,    &buffers.outputs, &buffers.highest, &buffers.totals};
  for (int i = 0; i < 8; ++i) {
    *places[i] = at;
    at += parts[i];
  }
  return buffers;
}

Lines part_of(const Matrix& x, int64_t row, int64_t column, bool turned) {
  const void* data = static_cast<const char*>(x.data) + (row * x.row + column * x.column) * (x.half ? 2 : 4);
  return turned ? Lines{data, x.column, x.row, x.half} : Lines{data, x.row, x.column, x.half};
}

float mask_value(const AttentionSizes& sizes, const Head& head, int64_t place) {
  float value = 0;
  if (sizes.mask == MaskType::kFloat32) return static_cast<const float*>(head.mask)[place];
  if (sizes.mask == MaskType::kBool)
    return static_cast<const bool*>(head.mask)[place] ? 0 : -std::numeric_limits<float>::infinity();
  micro_kernel().widen(1, static_cast<const uint16_t*>(head.mask) + place, &value);
  return value;
}

void add_mask(const MicroKernel& kernel, const AttentionSizes& sizes, const Head& head,
              const Buffers& buffers, int query, int queries, int key, int keys) {
  for (int i = 0; i < keys; ++i) {
    float* line = buffers.mask + i * kernel.columns;
    for (int q = 0; q < kernel.columns; ++q) {
      int64_t place = (query + std::min(q, queries - 1)) * head.mask_row + (key + i) * head.mask_column;
      line[q] = q && head.mask_row == 0 ? line[0] : mask_value(sizes, head, place);
    }
  }
  kernel.binary(Binary::kAdd, static_cast<long>(keys) * kernel.columns, buffers.scores, 1, buffers.mask, 1,
                buffers.scores);
}

void pack_block(const MicroKernel& kernel, const AttentionSizes& sizes, const Head& head,
                const Buffers& buffers, int key, int keys) {
  for (int i = 0; i < keys; i += kernel.rows) {
    kernel.pack(part_of(head.key, key + i, 0, false), std::min(kernel.rows, keys - i), sizes.depth,
                kernel.rows, buffers.keys + static_cast<int64_t>(i) * sizes.depth);
  }
  for (int i = 0; i < sizes.values; i += kernel.rows) {
    kernel.pack(part_of(head.value, key, i, true), std::min(kernel.rows, sizes.values - i), keys, kernel.rows,
                buffers.values + static_cast<int64_t>(i) * keys);
  }
}

// One panel of queries meets one packed block of keys.
void meet(const MicroKernel& kernel, const AttentionSizes& sizes, const Head& head, const Buffers& buffers,
          int panel, int query, int queries, int key, int keys) {
  const float* packed = buffers.queries + static_cast<int64_t>(panel) * sizes.depth * kernel.columns;
  float* output =
      buffers.outputs + static_cast<int64_t>(panel) * rounded_up(sizes.values, kernel.rows) * kernel.columns;
  for (int i = 0; i < keys; i += kernel.rows) {
    kernel.multiply(std::min(kernel.rows, keys - i), sizes.depth,
                    buffers.keys + static_cast<int64_t>(i) * sizes.depth, packed,
                    buffers.scores + i * kernel.columns, kernel.columns, false);
  }
  if (sizes.mask != MaskType::kNone) add_mask(kernel, sizes, head, buffers, query, queries, key, keys);
  kernel.fold(keys, sizes.values, buffers.scores, buffers.highest + panel * kernel.columns,
              buffers.totals + panel * kernel.columns, output);
  for (int i = 0; i < sizes.values; i += kernel.rows) {
    kernel.multiply(std::min(kernel.rows, sizes.values - i), keys,
                    buffers.values + static_cast<int64_t>(i) * keys, buffers.scores,
                    output + static_cast<int64_t>(i) * kernel.columns, kernel.columns, true);
  }
}

// Divides by the totals, turns the panel back and writes it.
void write(const MicroKernel& kernel, const AttentionSizes& sizes, const Head& head, const Buffers& buffers,
           int panel, int query, int queries) {
  float* output =
      buffers.outputs + static_cast<int64_t>(panel) * rounded_up(sizes.values, kernel.rows) * kernel.columns;
  const float* totals = buffers.totals + panel * kernel.columns;
  for (int i = 0; i < sizes.values; ++i) {
    float* line = output + static_cast<int64_t>(i) * kernel.columns;
    kernel.binary(Binary::kDiv, kernel.columns, line, 1, totals, 1, line);
  }
  float* row = buffers.mask;  // free by now
  for (int q = 0; q < queries; ++q) {
    int64_t place = static_cast<int64_t>(query + q) * sizes.values;
    for (int first = 0; first < sizes.values; first += kKeyBlock) {
      int count = std::min(kKeyBlock, sizes.values - first);
      for (int i = 0; i < count; ++i) row[i] = output[static_cast<int64_t>(first + i) * kernel.columns + q];
      if (sizes.half)
        kernel.narrow(count, row, static_cast<uint16_t*>(head.output) + place + first);
      else
        std::copy(row, row + count, static_cast<float*>(head.output) + place + first);
    }
  }
}

}  // namespace

void attend(const AttentionSizes& sizes, const Head& head, int first, int last) {
  const MicroKernel& kernel = micro_kernel();
  static thread_local Scratch scratch;
  int panels = (last - first + kernel.columns - 1) / kernel.columns;
  Buffers buffers = divide(scratch, kernel, sizes, panels);
  auto queries_of = [&](int panel) {
    return std::min(kernel.columns, last - first - panel * kernel.columns);
  };
  for (int panel = 0; panel < panels; ++panel) {
    float* packed = buffers.queries + static_cast<int64_t>(panel) * sizes.depth * kernel.columns;
    int64_t size = static_cast<int64_t>(sizes.depth) * kernel.columns;
    kernel.pack(part_of(head.query, first + panel * kernel.columns, 0, false), queries_of(panel), sizes.depth,
                kernel.columns, packed);
    kernel.unary(Unary::kAffine, sizes.scale, 0, size, packed, packed);
  }
  int64_t lanes = static_cast<int64_t>(panels) * kernel.columns;
  std::fill(buffers.outputs, buffers.outputs + lanes * rounded_up(sizes.values, kernel.rows), 0.0f);
  std::fill(buffers.highest, buffers.highest + lanes, -std::numeric_limits<float>::infinity());
  std::fill(buffers.totals, buffers.totals + lanes, 0.0f);
  for (int key = 0; key < sizes.keys; key += kKeyBlock) {
    int keys = std::min(kKeyBlock, sizes.keys - key);
    pack_block(kernel, sizes, head, buffers, key, keys);
    for (int panel = 0; panel < panels; ++panel)
      meet(kernel, sizes, head, buffers, panel, first + panel * kernel.columns, queries_of(panel), key, keys);
  }
  for (int panel = 0; panel < panels; ++panel)
    write(kernel, sizes, head, buffers, panel, first + panel * kernel.columns, queries_of(panel));
}

int attention_chunk(const AttentionSizes& sizes, int64_t heads) {
  // Every task packs all keys and values; what it keeps of its queries should stay in the second cache.
  constexpr int kPanels = 20, kTasks = 8;
  int columns = micro_kernel().columns, panels = std::max(1, (sizes.queries + columns - 1) / columns);
  int64_t chunks = (panels + kPanels - 1) / kPanels;
  // Few heads: enough tasks for every thread, as long as the packing of keys pays.
  int64_t most = std::max<int64_t>(chunks, panels / 2);
  chunks = std::clamp<int64_t>((kTasks + heads - 1) / std::max<int64_t>(heads, 1), chunks, most);
  return static_cast<int>((panels + chunks - 1) / chunks) * columns;
}

}  // namespace tintype::kernels
