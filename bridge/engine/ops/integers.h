#pragma once

#include <vector>

#include "mlx/array.h"

namespace tintype {

using mlx::core::array;

/*
 * Integers are computed as integers: a float32 holds them only below 2^24. Sums and products wrap around, as
 * numpy's do.
 */

bool are_integers(const array& x);
bool are_integers(const array& x, const array& y);

/** Quotient and remainder; 0 where the divisor is 0, since the processor traps on it. */
struct Quotient {
  array quotient, remainder;
};

/** Rounded towards negative infinity; the remainder has the divisor's sign. As numpy's. */
Quotient divide_floor(const array& x, const array& y);

/** Rounded towards zero, as a quotient of floats that is cast to an integer. */
array divide_truncating(const array& x, const array& y);

/** Floats as integers, rounded towards zero: beyond the type's range its ends, 0 for NaN. C++ leaves both
 * open, and processors differ. */
array saturated(const array& x, mlx::core::Dtype dtype);

/** The mean, rounded towards zero. */
array mean_of_integers(const array& x, const std::vector<int>& axes, bool keep_dims);

}  // namespace tintype
