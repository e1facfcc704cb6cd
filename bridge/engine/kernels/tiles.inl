// Matrix tiles: the product and the packing that feeds it. See micro_kernel.h.
namespace {

template <int kHeight>
void multiply_tile(int depth, const float* a, const float* b, float* c, long row_stride, bool add) {
  Vector sum[kHeight][2] = {};
  for (int k = 0; k < depth; ++k) {
    Vector b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kHeight; ++i) {
      sum[i][0] += a[i] * b0;
      sum[i][1] += a[i] * b1;
    }
    a += kRows;
    b += kColumns;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kHeight; ++i) {
    float* row = c + i * row_stride;
    store(row, add ? load(row) + sum[i][0] : sum[i][0]);
    store(row + kLanes, add ? load(row + kLanes) + sum[i][1] : sum[i][1]);
  }
}

using Tile = void (*)(int, const float*, const float*, float*, long, bool);

template <int... kHeights>
constexpr Tile tile_of(int height, std::integer_sequence<int, kHeights...>) {
  constexpr Tile tiles[] = {multiply_tile<kHeights + 1>...};
  return tiles[height - 1];
}

void multiply(int height, int depth, const float* a, const float* b, float* c, long row_stride, bool add) {
  tile_of(height, std::make_integer_sequence<int, kRows>())(depth, a, b, c, row_stride, add);
}

// Lane j of the result: lane j of `a` or lane j - w of `b`; and the other halves.
template <int kWidth, int... kLane>
TINTYPE_INLINE void exchange(Vector& a, Vector& b, std::integer_sequence<int, kLane...>) {
  Vector low = __builtin_shufflevector(a, b, (kLane & kWidth ? kLane - kWidth + kLanes : kLane)...);
  b = __builtin_shufflevector(a, b, (kLane & kWidth ? kLane + kLanes : kLane + kWidth)...);
  a = low;
}

template <int kWidth>
TINTYPE_INLINE void exchange_all(Vector* v) {
  if constexpr (kWidth < kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (!(i & kWidth)) exchange<kWidth>(v[i], v[i + kWidth], std::make_integer_sequence<int, kLanes>());
    }
    exchange_all<kWidth * 2>(v);
  }
}

// The last lanes of a panel of kRows lines; a copy of a size that the compiler knows is no call.
TINTYPE_INLINE void store_part(float* to, Vector v, int lanes) {
  constexpr int kPart = kRows % kLanes;
  float all[kLanes];
  store(all, v);
  if (lanes == kPart)
    __builtin_memcpy(to, all, 4 * kPart);
  else
    __builtin_memcpy(to, all, 4 * static_cast<unsigned>(lanes));
}

// Lines whose elements are neighbours: squares of kLanes are turned in registers.
template <typename T>
TINTYPE_INLINE void pack_turned(const T* from, long row, int count, int depth, int width, float* to) {
  for (int first = 0; first < width; first += kLanes) {
    int lines = count - first < kLanes ? count - first : kLanes, kept = width - first;
    const T* lane = from + first * row;
    int k = 0;
    for (; k + kLanes <= depth; k += kLanes) {
      Vector v[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) v[i] = i < lines ? load(lane + i * row + k) : Vector{};
      exchange_all<1>(v);
      float* target = to + static_cast<long>(k) * width + first;
      if (kept >= kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(target + static_cast<long>(i) * width, v[i]);
      } else {
        for (int i = 0; i < kLanes; ++i) store_part(target + static_cast<long>(i) * width, v[i], kept);
      }
    }
    for (; k < depth; ++k) {
      for (int i = 0; i < kLanes && i < kept; ++i)
        to[static_cast<long>(k) * width + first + i] = i < lines ? value_of(lane[i * row + k]) : 0.0f;
    }
  }
}

constexpr long kAhead = 6;  // pieces that are fetched before their turn

// Lines that lie side by side: whole pieces are copied. Or anything else, element by element.
template <typename T>
TINTYPE_INLINE void pack_copied(const T* from, const Lines& lines, int count, int depth, int width, float* to) {
  for (int k = 0; k < depth; ++k, to += width) {
    const T* piece = from + k * lines.column;
    int i = 0;
    if (lines.row == 1) {
      for (; i + kLanes <= count; i += kLanes) store(to + i, load(piece + i));
      // What lies behind the last lanes may be read where another piece follows.
      if (i < count && k + 1 < depth && lines.column >= i + kLanes) {
        store_part(to + i, load(piece + i), count - i);
        i = count;
      }
    }
    for (; i < count; ++i) to[i] = value_of(piece[i * lines.row]);
    for (; i < width; ++i) to[i] = 0.0f;
  }
}

template <typename T>
TINTYPE_INLINE void pack_typed(const Lines& from, int count, int depth, int width, float* to) {
  auto* data = static_cast<const T*>(from.data);
  if (from.column == 1 && depth >= kLanes)
    pack_turned(data, from.row, count, depth, width, to);
  else
    pack_copied(data, from, count, depth, width, to);
}

// Panels of kColumns lines that lie side by side, all of them piece by piece: the pieces of one depth are
// neighbours in memory, those of the next may be pages away.
template <typename T>
TINTYPE_INLINE void pack_side_by_side(const T* from, long column, int count, int depth, float* to) {
  for (int k = 0; k < depth; ++k) {
    const T* piece = from + k * column;
    float* target = to + static_cast<long>(k) * kColumns;
    for (int i = 0; i < count; i += kColumns, target += static_cast<long>(depth) * kColumns) {
      __builtin_prefetch(piece + i + kAhead * column);
      if (count - i >= kColumns) {
        store(target, load(piece + i));
        store(target + kLanes, load(piece + i + kLanes));
        continue;
      }
      for (int j = 0; j < kColumns; ++j) target[j] = j < count - i ? value_of(piece[i + j]) : 0.0f;
    }
  }
}

template <typename T>
TINTYPE_INLINE void pack_panels(const Lines& from, int count, int depth, int width, float* to) {
  auto* data = static_cast<const T*>(from.data);
  if (from.row == 1 && from.column != 1 && width == kColumns)
    return pack_side_by_side(data, from.column, count, depth, to);
  for (int i = 0; i < count; i += width, to += static_cast<long>(depth) * width) {
    Lines panel = {data + i * from.row, from.row, from.column, from.half};
    pack_typed<T>(panel, count - i < width ? count - i : width, depth, width, to);
  }
}

void pack(const Lines& from, int count, int depth, int width, float* to) {
  if (from.half)
    pack_panels<unsigned short>(from, count, depth, width, to);
  else
    pack_panels<float>(from, count, depth, width, to);
}

}  // namespace
