#pragma once

// What element-wise primitives share. Internal to kernels/.
#include <array>
#include <initializer_list>
#include <vector>

#include "kernels/cpu_primitive.h"

namespace tintype::kernels {

constexpr int64_t kPiece = 2048;     // elements whose copies stay in the first cache
constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

// The output in the memory of an input that nobody else reads, where both lie alike; never in a caller's
// memory.
inline bool take_over(const array& in, array& out) {
  bool alike = in.dtype() == out.dtype() && in.shape() == out.shape() && in.flags().row_contiguous &&
               in.data_size() == in.size();
  if (!alike || !in.is_donatable() || !in.data_shared_ptr()->is_owned()) return false;
  out.copy_shared_buffer(in);
  return true;
}

/** Up to three row-contiguous operands over one shape: axes that lie alike in all of them are one axis. */
struct Spread {
  static constexpr int kMost = 3;

  std::vector<int64_t> shape;                       // innermost first
  std::vector<std::array<int64_t, kMost>> strides;  // of every axis, by operand

  Spread(const array& out, std::initializer_list<const array*> operands) {
    int rank = static_cast<int>(out.ndim());
    std::array<int64_t, kMost> dense = {1, 1, 1};
    for (int axis = -1; axis >= -rank; --axis) {
      std::array<int64_t, kMost> steps{};
      int k = 0;
      for (const array* x : operands) {
        int size = -axis <= static_cast<int>(x->ndim()) ? x->shape(axis) : 1;
        if (size > 1) steps[k] = dense[k];
        dense[k++] *= size;
      }
      if (out.shape(axis) != 1) add(out.shape(axis), steps);
    }
    if (shape.empty()) add(1, {1, 1, 1});
  }

  /** How far apart neighbours in a row of operand `k` lie: 1, or 0 where it has one value a row. */
  int step(size_t k) const { return strides[0][k] ? 1 : 0; }

  /** Offset in operand `k` of row `index`, a row being the innermost axis. */
  int64_t offset(int64_t index, size_t k) const {
    int64_t place = 0;
    size_t last = shape.size() - 1;
    for (size_t axis = 1; axis <= last; ++axis) {
      place += (axis < last ? index % shape[axis] : index) * strides[axis][k];
      if (axis < last) index /= shape[axis];
    }
    return place;
  }

 private:
  void add(int64_t size, const std::array<int64_t, kMost>& steps) {
    bool alike = !shape.empty();
    for (size_t k = 0; alike && k < kMost; ++k) alike = steps[k] == strides.back()[k] * shape.back();
    if (alike) {
      shape.back() *= size;
      return;
    }
    shape.push_back(size);
    strides.push_back(steps);
  }
};

}  // namespace tintype::kernels
