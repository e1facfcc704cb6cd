#pragma once

#include <cstdint>
#include <cstring>
#include <functional>

#include "check.h"
#include "kernels/parallel.h"
#include "mlx/mlx.h"

namespace mx = mlx::core;

/** Normally distributed, the same for the same seed. */
inline mx::array noise(const mx::Shape& shape, uint64_t seed) {
  mx::array x = mx::random::normal(shape, mx::float32, 0, 1, mx::random::key(seed));
  mx::eval(x);
  return x;
}

/** Alike in shape, type and every bit. */
inline bool are_same(mx::array x, mx::array y) {
  x = mx::contiguous(x), y = mx::contiguous(y);
  mx::eval(x, y);
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         std::memcmp(x.data<char>(), y.data<char>(), x.nbytes()) == 0;
}

/** The same to the bit at one thread, at all of them, and once more. */
inline mx::array at_any_threads(const std::function<mx::array()>& make) {
  mx::array all = make(), again = make();
  mx::eval(all);
  mx::eval(again);
  tintype::kernels::limit_threads(1);
  mx::array alone = make();
  mx::eval(alone);
  tintype::kernels::limit_threads(0);
  CHECK(are_same(all, again));
  CHECK(are_same(all, alone));
  return all;
}
