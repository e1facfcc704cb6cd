// Powers and remainders of two lines, exact to the last place or nearly. See micro_kernel.h.
//
// The compiler makes vectors of these loops if nothing is computed under a condition: they choose among constants and
// what is computed anyway.
namespace {

constexpr int kBlock = 64;  // elements of a step: what lies between its loops stays in registers and the first cache

constexpr float kInf = __builtin_inff(), kLargestFloat = 3.40282347e38f;

TINTYPE_INLINE int bits_of(float x) {
  int bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}

TINTYPE_INLINE float float_of(int bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

// log2 of |x|, which is not 0: 2 / ln 2 · atanh((m - 1) / (m + 1)) of its fraction m, beside the exponent.
TINTYPE_INLINE double log2_of_size(float x) {
  float size = __builtin_fabsf(x);
  bool tiny = size < 1.17549435e-38f;
  int bits = bits_of(size * (tiny ? 16777216.0f : 1.0f));
  int exponent = (bits >> 23) - (tiny ? 151 : 127);
  bits = (bits & 0x7fffff) | 0x3f800000;
  bool high = bits > 0x3fb504f3;  // √2
  bits -= high ? 0x800000 : 0;
  exponent += high ? 1 : 0;
  double m = float_of(bits), z = (m - 1) / (m + 1), s = z * z;
  double p = 1.0 / 15;
  p = p * s + 1.0 / 13;
  p = p * s + 1.0 / 11;
  p = p * s + 1.0 / 9;
  p = p * s + 1.0 / 7;
  p = p * s + 1.0 / 5;
  p = p * s + 1.0 / 3;
  return exponent + (p * s + 1) * z * 2.88539008177792681;
}

// 2^x as a float64, x at most 300 in size; beyond, and of NaN, 2^±300.
TINTYPE_INLINE double exp2_of_double(double x) {
  constexpr double kRounder = 6755399441055744.0;  // 1.5 · 2^52: what is added to it is rounded to a whole
  x = x < 300 ? x : 300;
  x = x > -300 ? x : -300;
  double shifted = x + kRounder, r = (x - (shifted - kRounder)) * 0.693147180559945309;
  double p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1;
  p = p * r + 1;
  unsigned long long bits;  // the whole is in the low bits of the shifted number
  __builtin_memcpy(&bits, &shifted, 8);
  bits = (bits + 1023) << 52;
  double power;
  __builtin_memcpy(&power, &bits, 8);
  return p * power;
}

// What the product of exponent and logarithm does not say, as C's powf has it.
TINTYPE_INLINE float power_at_ends(float x, float y, float power) {
  float size = __builtin_fabsf(x), y_size = __builtin_fabsf(y);
  float near = y_size < 8388608.0f ? y : 0.0f;  // from there on every number is whole
  int whole = static_cast<int>(near);
  bool is_whole = static_cast<float>(whole) == near;
  bool is_odd = is_whole && ((y_size < 8388608.0f ? whole : y_size < 16777216.0f ? bits_of(y) : 0) & 1);
  float r = power;
  r = size == 0.0f ? (y > 0.0f ? 0.0f : kInf) : r;
  r = size == kInf ? (y > 0.0f ? kInf : 0.0f) : r;
  r = float_of(bits_of(r) ^ (is_odd ? bits_of(x) & static_cast<int>(0x80000000u) : 0));
  r = x < 0.0f && size < kInf && !is_whole ? __builtin_nanf("") : r;
  r = x != x || y != y ? __builtin_nanf("") : r;
  r = size == 1.0f && y_size == kInf ? 1.0f : r;
  return y == 0.0f || x == 1.0f ? 1.0f : r;
}

void powers(long count, const float* x, const float* y, float* to) {
  for (long i = 0; i < count; i += kBlock) {
    long size = count - i < kBlock ? count - i : kBlock;
    float power[kBlock];
    for (long k = 0; k < size; ++k)
      power[k] = static_cast<float>(exp2_of_double(static_cast<double>(y[i + k]) * log2_of_size(x[i + k])));
    for (long k = 0; k < size; ++k) to[i + k] = power_at_ends(x[i + k], y[i + k], power[k]);
  }
}

// C's fmodf of at most kBlock elements. Quotients below 2^28 are exact in float64, and what is left as well.
void remainders(long count, const float* x, const float* y, float* to) {
  constexpr double kFar = 1 << 28;
  int far = 0;
  for (long k = 0; k < count; ++k) {
    double quotient = static_cast<double>(x[k]) / static_cast<double>(y[k]);
    bool near = quotient < kFar && quotient > -kFar && __builtin_fabsf(y[k]) <= kLargestFloat;
    int whole = static_cast<int>(near ? quotient : 0.0);
    to[k] = static_cast<float>(static_cast<double>(x[k]) - static_cast<double>(whole) * static_cast<double>(y[k]));
    far |= near ? 0 : 1;
  }
  if (!far) return;
  for (long k = 0; k < count; ++k) {
    float quotient = x[k] / y[k];
    bool near = __builtin_fabsf(quotient) < 134217728.0f && __builtin_fabsf(y[k]) <= kLargestFloat;
    if (!near) to[k] = __builtin_fmodf(x[k], y[k]);
  }
}

TINTYPE_INLINE float floored_mod(float y, float rest) {
  float turned = rest + ((y < 0.0f) != (rest < 0.0f) ? y : 0.0f);
  return rest == 0.0f ? __builtin_copysignf(0.0f, y) : turned;
}

TINTYPE_INLINE float floored_quotient(float x, float y, float rest) {
  float plain = x / y, quotient = (x - rest) / y;
  quotient -= rest != 0.0f && (y < 0.0f) != (rest < 0.0f) ? 1.0f : 0.0f;
  float floor = __builtin_floorf(quotient);
  floor += quotient - floor > 0.5f ? 1.0f : 0.0f;
  floor = quotient == 0.0f ? __builtin_copysignf(0.0f, plain) : floor;
  return y == 0.0f ? plain : floor;
}

template <bool kQuotient>
void floored(long count, const float* x, const float* y, float* to) {
  for (long i = 0; i < count; i += kBlock) {
    long size = count - i < kBlock ? count - i : kBlock;
    float rest[kBlock];
    remainders(size, x + i, y + i, rest);
    for (long k = 0; k < size; ++k) {
      float r = rest[k];
      to[i + k] = kQuotient ? floored_quotient(x[i + k], y[i + k], r) : floored_mod(y[i + k], r);
    }
  }
}

enum class Rounding { kTruncated, kFloored, kRemainder };

// By way of float64, which divides all int32 exactly enough. The lowest number by -1 does not fit: it wraps around.
template <Rounding kRounding>
TINTYPE_INLINE int divided(int x, int y) {
  bool special = y == 0 || y == -1;
  int divisor = special ? 1 : y;
  int quotient = static_cast<int>(static_cast<double>(x) / static_cast<double>(divisor));
  int rest = x - quotient * divisor;
  int below = rest != 0 && (rest < 0) != (divisor < 0) ? 1 : 0;
  int negative = static_cast<int>(0u - static_cast<unsigned>(x));
  if (kRounding == Rounding::kRemainder) return special ? 0 : below ? rest + divisor : rest;
  if (kRounding == Rounding::kFloored) quotient -= below;
  return y == 0 ? 0 : y == -1 ? negative : quotient;
}

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
