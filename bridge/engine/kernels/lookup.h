#pragma once

// Rows at places that indices name. Internal to kernels/.
#include <algorithm>
#include <cstdint>
#include <vector>

namespace tintype::kernels {

/** An index counted from either end of an axis; beyond, its ends. */
inline int64_t place_of(int32_t index, int64_t length) {
  int64_t place = index < 0 ? index + length : index;
  return std::clamp<int64_t>(place, 0, length - 1);
}

/**
 * Where each of a count of rows begins in a tensor. `group` rows share a base; `repeats` groups after each
 * other have the same indices, one for each of `lengths` and `strides`, side by side a row.
 */
struct Lookup {
  std::vector<int64_t> lengths, strides;
  int64_t group = 1, repeats = 1, base_stride = 0;

  /** Calls body(row, offset) for rows [first, last). */
  template <typename Body>
  void each(const int32_t* indices, int64_t first, int64_t last, const Body& body) const {
    int64_t at = first / group, within = first % group;
    auto count = static_cast<int64_t>(lengths.size());
    for (int64_t row = first; row < last; ++at, within = 0) {
      int64_t base = at * base_stride, end = std::min(last, row + group - within);
      const int32_t* index = indices + (at / repeats * group + within) * count;
      for (; row < end; ++row, index += count) {
        int64_t offset = base;
        for (int64_t k = 0; k < count; ++k)
          offset += place_of(index[k], lengths[static_cast<size_t>(k)]) * strides[static_cast<size_t>(k)];
        body(row, offset);
      }
    }
  }
};

}  // namespace tintype::kernels
