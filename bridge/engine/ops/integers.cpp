#include "ops/integers.h"

#include <cmath>

#include "mlx/mlx.h"

namespace tintype {

namespace mx = mlx::core;

bool are_integers(const array& x) {
  return mx::issubdtype(x.dtype(), mx::integer);
}

bool are_integers(const array& x, const array& y) {
  return mx::issubdtype(mx::result_type(x, y), mx::integer);
}

Quotient divide_floor(const array& x, const array& y) {
  array zero(0, y.dtype()), one(1, y.dtype());
  bool is_signed = mx::issubdtype(y.dtype(), mx::signedinteger);
  array by_zero = mx::equal(y, zero);
  // The lowest value / -1 traps too.
  array by_minus_one = is_signed ? mx::equal(y, array(-1, y.dtype())) : mx::zeros_like(y, mx::bool_);
  array divisor = mx::where(mx::logical_or(by_zero, by_minus_one), one, y);
  array remainder = mx::remainder(x, divisor);  // has the divisor's sign
  array quotient = mx::floor_divide(x, divisor);
  // Backends of MLX differ in how they round: where the remainder is not the floor's, one less is.
  array rest = mx::subtract(x, mx::multiply(quotient, divisor));
  quotient = mx::where(mx::equal(rest, remainder), quotient, mx::subtract(quotient, one));
  quotient = mx::where(by_minus_one, mx::negative(x), quotient);
  return {mx::where(by_zero, zero, quotient),
          mx::where(mx::logical_or(by_zero, by_minus_one), zero, remainder)};
}

array divide_truncating(const array& x, const array& y) {
  auto [quotient, remainder] = divide_floor(x, y);
  array zero(0, y.dtype());
  array rounds_up =
      mx::logical_and(mx::not_equal(mx::less(x, zero), mx::less(y, zero)), mx::not_equal(remainder, zero));
  return mx::add(quotient, mx::astype(rounds_up, quotient.dtype()));
}

array saturated(const array& x, mx::Dtype dtype) {
  bool is_signed = mx::issubdtype(dtype, mx::signedinteger);
  int bits = static_cast<int>(8 * mx::size_of(dtype)) - is_signed;
  double end = std::ldexp(1.0, bits);  // the first integer beyond the range
  array wide = x.dtype() == mx::float64 ? x : mx::astype(x, mx::float32);
  array numbers = mx::where(mx::isnan(wide), array(0, wide.dtype()), wide);
  // The largest float below the end, where integers lie closer than floats.
  double highest =
      wide.dtype() == mx::float64 ? std::nextafter(end, 0) : std::nextafterf(static_cast<float>(end), 0);
  array lowest(is_signed ? -end : 0.0, wide.dtype());
  array inside = mx::astype(mx::clip(numbers, lowest, array(highest, wide.dtype())), dtype);
  uint64_t largest = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  return mx::where(mx::greater_equal(numbers, array(end, wide.dtype())),
                   mx::astype(array(largest, mx::uint64), dtype), inside);
}

array mean_of_integers(const array& x, const std::vector<int>& axes, bool keep_dims) {
  int64_t count = 1;
  for (int axis : axes) count *= x.shape(axis);
  array sum = mx::sum(mx::astype(x, mx::int64), axes, keep_dims);
  return divide_truncating(sum, array(count, mx::int64));
}

}  // namespace tintype
