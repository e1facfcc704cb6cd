// Powers and remainders of two lines, exact to the last place or nearly, and products of integers. See micro_kernel.h.
namespace {

constexpr float kInf = __builtin_inff(), kLargestFloat = 3.40282347e38f;
constexpr int kHalfLanes = kLanes / 2;

// No templates: a deduced type is without the alignment of its name, and the compiler would take more for granted.
TINTYPE_INLINE HalfVector half_of(const Vector& x, int half) {
  HalfVector part;
  __builtin_memcpy(&part, reinterpret_cast<const char*>(&x) + half * sizeof(part), sizeof(part));
  return part;
}

TINTYPE_INLINE HalfIntegers half_of(const Integers& x, int half) {
  HalfIntegers part;
  __builtin_memcpy(&part, reinterpret_cast<const char*>(&x) + half * sizeof(part), sizeof(part));
  return part;
}

TINTYPE_INLINE void set_half(Vector& x, int half, HalfVector part) {
  __builtin_memcpy(reinterpret_cast<char*>(&x) + half * sizeof(part), &part, sizeof(part));
}

TINTYPE_INLINE void set_half(Integers& x, int half, HalfIntegers part) {
  __builtin_memcpy(reinterpret_cast<char*>(&x) + half * sizeof(part), &part, sizeof(part));
}

TINTYPE_INLINE Integers bits_of(Vector x) {
  return reinterpret_cast<Integers&>(x);
}

TINTYPE_INLINE Vector vector_of(Integers bits) {
  return reinterpret_cast<Vector&>(bits);
}

// exponent + log2(m) for m from √½ to √2: 2 / ln 2 · atanh((m - 1) / (m + 1)).
TINTYPE_INLINE Doubles log2_of(Doubles exponent, Doubles m) {
  Doubles z = (m - 1.0) / (m + 1.0), s = z * z;
  Doubles p = s * (1.0 / 15) + 1.0 / 13;
  p = p * s + 1.0 / 11;
  p = p * s + 1.0 / 9;
  p = p * s + 1.0 / 7;
  p = p * s + 1.0 / 5;
  p = p * s + 1.0 / 3;
  return exponent + (p * s + 1.0) * z * 2.88539008177792681;
}

// 2^x, x at most 300 in size; beyond, and of NaN, 2^±300.
TINTYPE_INLINE Doubles exp2_of(Doubles x) {
  constexpr double kRounder = 6755399441055744.0;  // 1.5 · 2^52: what is added to it is rounded to a whole
  typedef unsigned long long Longs __attribute__((vector_size(kLanes * 4), aligned(8), may_alias));
  Doubles highest = Doubles{} + 300.0, lowest = -highest;
  x = x < highest ? x : highest;
  x = x > lowest ? x : lowest;
  Doubles shifted = x + kRounder, r = (x - (shifted - kRounder)) * 0.693147180559945309;
  Doubles p = r * (1.0 / 362880) + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  Longs power = (reinterpret_cast<Longs&>(shifted) + 1023u) << 52;  // the whole is in the low bits
  return p * reinterpret_cast<Doubles&>(power);
}

// What the product of exponent and logarithm does not say, as C's powf has it.
TINTYPE_INLINE Vector power_at_ends(Vector x, Vector y, Vector power) {
  constexpr float kWhole = 8388608.0f;  // from there on every number is whole, from its double on even
  Vector zero = {}, size = size_of(x), y_size = size_of(y);
  Integers small = y_size < kWhole;
  Vector near = small ? y : zero;
  Integers whole = __builtin_convertvector(near, Integers);
  Integers is_whole = __builtin_convertvector(whole, Vector) == near;
  Integers parity = small ? whole : y_size < 2 * kWhole ? bits_of(y) : Integers{};
  Integers is_odd = is_whole & -(parity & 1);
  Vector r = power, infinity = zero + kInf;
  r = size == zero ? (y > zero ? zero : infinity) : r;
  r = size == infinity ? (y > zero ? infinity : zero) : r;
  r = vector_of(bits_of(r) ^ (is_odd & bits_of(x) & static_cast<int>(0x80000000u)));
  r = (x < zero) & (size < infinity) & ~is_whole ? zero + __builtin_nanf("") : r;
  r = (x != x) | (y != y) ? zero + __builtin_nanf("") : r;
  r = (size == zero + 1.0f) & (y_size == infinity) ? zero + 1.0f : r;
  return (y == zero) | (x == zero + 1.0f) ? zero + 1.0f : r;
}

TINTYPE_INLINE Vector power_of(Vector x, Vector y) {
  Vector zero = {}, size = size_of(x);
  Integers tiny = size < zero + 1.17549435e-38f;
  Integers bits = bits_of(tiny ? size * 16777216.0f : size);
  Integers exponent = (bits >> 23) - (tiny ? Integers{} + 151 : Integers{} + 127);
  bits = (bits & 0x7fffff) | 0x3f800000;
  Integers high = bits > 0x3fb504f3;  // √2; -1 where it holds
  Vector m = vector_of(bits + (high & -0x800000)), power;
  exponent -= high;
  for (int half = 0; half < 2; ++half) {
    Doubles log = log2_of(__builtin_convertvector(half_of(exponent, half), Doubles),
                          __builtin_convertvector(half_of(m, half), Doubles));
    Doubles part = exp2_of(log * __builtin_convertvector(half_of(y, half), Doubles));
    set_half(power, half, __builtin_convertvector(part, HalfVector));
  }
  return power_at_ends(x, y, power);
}

// C's fmodf. Quotients below 2^27 and what they leave are exact in float64.
TINTYPE_INLINE Vector remainder_of(Vector x, Vector y) {
  Vector zero = {};
  Integers near = (size_of(x / y) < zero + 134217728.0f) & (size_of(y) <= zero + kLargestFloat);
  Vector dividend = near ? x : zero, divisor = near ? y : zero + 1.0f, rest;
  for (int half = 0; half < 2; ++half) {
    Doubles p = __builtin_convertvector(half_of(dividend, half), Doubles),
            q = __builtin_convertvector(half_of(divisor, half), Doubles);
    Doubles whole = __builtin_convertvector(__builtin_convertvector(p / q, HalfIntegers), Doubles);
    set_half(rest, half, __builtin_convertvector(p - whole * q, HalfVector));
  }
  if (any_of(~near)) {
    for (int i = 0; i < kLanes; ++i) {
      if (!near[i]) rest[i] = __builtin_fmodf(x[i], y[i]);
    }
  }
  return rest;
}

// numpy's: with the sign of the divisor.
TINTYPE_INLINE Vector floored_mod(Vector x, Vector y) {
  Vector zero = {}, rest = remainder_of(x, y);
  Vector turned = (y < zero) ^ (rest < zero) ? rest + y : rest;
  return rest == zero ? with_sign_of(zero, y) : turned;
}

// numpy's, too.
TINTYPE_INLINE Vector floored_quotient(Vector x, Vector y) {
  Vector zero = {}, rest = remainder_of(x, y), plain = x / y, quotient = (x - rest) / y;
  quotient = (rest != zero) & ((y < zero) ^ (rest < zero)) ? quotient - 1.0f : quotient;
  Vector floor = floor_of(quotient);
  floor = quotient - floor > zero + 0.5f ? floor + 1.0f : floor;
  floor = quotient == zero ? with_sign_of(zero, plain) : floor;
  return y == zero ? plain : floor;
}

enum class Rounding { kTruncated, kFloored, kRemainder };

// By way of float64, which divides all int32 exactly enough. The lowest number by -1 does not fit: it wraps around.
template <Rounding kRounding>
TINTYPE_INLINE Integers divided(Integers x, Integers y) {
  Integers none = {}, special = (y == none) | (y == -1), divisor = special ? none + 1 : y, quotient;
  for (int half = 0; half < 2; ++half) {
    Doubles p = __builtin_convertvector(half_of(x, half), Doubles),
            q = __builtin_convertvector(half_of(divisor, half), Doubles);
    set_half(quotient, half, __builtin_convertvector(p / q, HalfIntegers));
  }
  typedef unsigned Unsigned __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  Integers rest = x - quotient * divisor, below = (rest != none) & ((rest < none) ^ (divisor < none));
  if (kRounding == Rounding::kRemainder) return special ? none : below ? rest + divisor : rest;
  if (kRounding == Rounding::kFloored) quotient += below;
  Unsigned negative = Unsigned{} - reinterpret_cast<Unsigned&>(x);
  Integers by_minus_one = reinterpret_cast<Integers&>(negative);
  return y == none ? none : y == -1 ? by_minus_one : quotient;
}

template <Rounding kRounding>
void divide(long count, const int* x, const int* y, int* to) {
  for (long i = 0; i < count; i += kLanes) {
    if (i + kLanes <= count) {
      Integers quotient = divided<kRounding>(*reinterpret_cast<const Integers*>(x + i), *reinterpret_cast<const Integers*>(y + i));
      __builtin_memcpy(to + i, &quotient, sizeof(quotient));
      continue;
    }
    int left[kLanes] = {}, right[kLanes] = {};
    for (long j = i; j < count; ++j) left[j - i] = x[j], right[j - i] = y[j];
    Integers p, q;
    __builtin_memcpy(&p, left, sizeof(p));
    __builtin_memcpy(&q, right, sizeof(q));
    Integers quotient = divided<kRounding>(p, q);
    __builtin_memcpy(left, &quotient, sizeof(quotient));
    for (long j = i; j < count; ++j) to[j] = left[j - i];
  }
}

void multiply_integers(int rows, int columns, int depth, const unsigned* x, long x_line, const unsigned* y, long y_line,
                       unsigned* to, long to_line) {
  unsigned sums[kIntegerRows][kIntegerColumns];
  __builtin_memset(sums, 0, sizeof(sums));
  for (int i = 0; i < depth; ++i) {
    const unsigned* from = y + i * y_line;
    for (int r = 0; r < rows; ++r) {
      unsigned factor = x[r * x_line + i];
      for (int j = 0; j < columns; ++j) sums[r][j] += factor * from[j];
    }
  }
  for (int r = 0; r < rows; ++r)
    __builtin_memcpy(to + r * to_line, sums[r], static_cast<unsigned long>(columns) * sizeof(unsigned));
}

constexpr int kBlock = 64;  // elements of a step: what lies between its loops stays in the first cache

void whole_powers(long count, const int* x, const int* y, int* to) {
  for (long i = 0; i < count; i += kBlock) {
    long size = count - i < kBlock ? count - i : kBlock;
    unsigned power[kBlock], base[kBlock], left[kBlock], most = 0;
    for (long k = 0; k < size; ++k) {
      power[k] = 1, base[k] = static_cast<unsigned>(x[i + k]);
      left[k] = static_cast<unsigned>(y[i + k] > 0 ? y[i + k] : 0);
      most |= left[k];
    }
    for (; most; most >>= 1) {
      for (long k = 0; k < size; ++k) {
        power[k] *= left[k] & 1 ? base[k] : 1u;
        base[k] *= base[k];
        left[k] >>= 1;
      }
    }
    for (long k = 0; k < size; ++k) {
      int one = x[i + k], exponent = y[i + k];
      int inverse = one == 1 ? 1 : one == -1 ? (exponent & 1 ? -1 : 1) : 0;
      to[i + k] = exponent < 0 ? inverse : static_cast<int>(power[k]);
    }
  }
}

}  // namespace
