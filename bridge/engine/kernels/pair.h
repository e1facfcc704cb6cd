#pragma once

// What element-wise primitives share. Internal to kernels/.
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

/** Two operands over one shape: axes that lie alike in both are one axis. */
struct Pair {
  std::vector<int64_t> shape, x_strides, y_strides;

  Pair(const array& out, const array& x, const array& y) {
    int rank = static_cast<int>(out.ndim());
    int64_t x_dense = 1, y_dense = 1;
    std::vector<int64_t> sizes, xs, ys;
    for (int axis = -1; axis >= -rank; --axis) {
      bool in_x = -axis <= static_cast<int>(x.ndim()), in_y = -axis <= static_cast<int>(y.ndim());
      int x_size = in_x ? x.shape(axis) : 1, y_size = in_y ? y.shape(axis) : 1;
      if (out.shape(axis) != 1) add(out.shape(axis), x_size > 1 ? x_dense : 0, y_size > 1 ? y_dense : 0);
      x_dense *= x_size, y_dense *= y_size;
    }
    if (shape.empty()) add(1, 1, 1);
  }

  /** Offsets of row `index`, a row being the innermost axis. */
  void offsets(int64_t index, int64_t& x, int64_t& y) const {
    x = y = 0;
    size_t last = shape.size() - 1;
    for (size_t axis = 1; axis <= last; ++axis) {
      int64_t place = axis < last ? index % shape[axis] : index;
      x += place * x_strides[axis];
      y += place * y_strides[axis];
      if (axis < last) index /= shape[axis];
    }
  }

 private:
  // Innermost first.
  void add(int64_t size, int64_t x, int64_t y) {
    if (!shape.empty() && x == x_strides.back() * shape.back() && y == y_strides.back() * shape.back()) {
      shape.back() *= size;
      return;
    }
    shape.push_back(size);
    x_strides.push_back(x);
    y_strides.push_back(y);
  }
};

}  // namespace tintype::kernels
