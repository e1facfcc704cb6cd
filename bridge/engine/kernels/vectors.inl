// Vectors of kLanes floats, float16 and the functions that the loops share. See micro_kernel.h.
#include <utility>
#ifdef __F16C__
#include <immintrin.h>
#endif

namespace {

using namespace tintype::kernels;

#define TINTYPE_INLINE inline __attribute__((always_inline))

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int Integers __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

constexpr int kColumns = 2 * kLanes;

TINTYPE_INLINE Vector load(const float* x) {
  return *reinterpret_cast<const Vector*>(x);
}

TINTYPE_INLINE void store(float* y, Vector v) {
  *reinterpret_cast<Vector*>(y) = v;
}

TINTYPE_INLINE float widened(unsigned short half) {
#ifdef __F16C__
  return _cvtsh_ss(half);
#else
  unsigned sign = (half & 0x8000u) << 16, rest = half & 0x7fffu, bits;
  float value;
  if (rest >= 0x7c00u) {
    bits = sign | 0x7f800000u | (rest & 0x3ffu) << 13;
  } else {
    bits = rest << 13;  // exponent and fraction in place; 2^112 restores the exponent, subnormals included
    __builtin_memcpy(&value, &bits, 4);
    value *= 5.192296858534828e33f;
    __builtin_memcpy(&bits, &value, 4);
    bits |= sign;
  }
  __builtin_memcpy(&value, &bits, 4);
  return value;
#endif
}

TINTYPE_INLINE unsigned short narrowed(float value) {
#ifdef __F16C__
  return _cvtss_sh(value, 0);
#else
  unsigned bits;
  __builtin_memcpy(&bits, &value, 4);
  unsigned sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7e00u);
  if (rest >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);
  if (rest < 0x38800000u) {  // subnormal: adding 0.5 rounds at the right bit
    float small;
    __builtin_memcpy(&small, &rest, 4);
    small += 0.5f;
    __builtin_memcpy(&rest, &small, 4);
    return static_cast<unsigned short>(sign | (rest - 0x3f000000u));
  }
  return static_cast<unsigned short>(sign | (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1)) >> 13);
#endif
}

TINTYPE_INLINE Vector load(const unsigned short* x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))));
#elif defined(__F16C__)
  return reinterpret_cast<Vector>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
#else
  Vector v;
  for (int i = 0; i < kLanes; ++i) v[i] = widened(x[i]);
  return v;
#endif
}

TINTYPE_INLINE void store(unsigned short* y, Vector v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_cvtps_ph(reinterpret_cast<__m512>(v), 0));
#elif defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm256_cvtps_ph(reinterpret_cast<__m256>(v), 0));
#else
  for (int i = 0; i < kLanes; ++i) y[i] = narrowed(v[i]);
#endif
}

void widen(long count, const unsigned short* x, float* y) {
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, load(x + i));
  for (; i < count; ++i) y[i] = widened(x[i]);
}

void narrow(long count, const float* x, unsigned short* y) {
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, load(x + i));
  for (; i < count; ++i) y[i] = narrowed(x[i]);
}

// Limits; NaN stays NaN.
TINTYPE_INLINE Vector at_most(Vector x, float limit) {
  Vector all = Vector{} + limit;
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_min_ps(reinterpret_cast<__m512>(all), reinterpret_cast<__m512>(x)));
#elif defined(__AVX__)
  return reinterpret_cast<Vector>(_mm256_min_ps(reinterpret_cast<__m256>(all), reinterpret_cast<__m256>(x)));
#else
  return x > all ? all : x;
#endif
}

TINTYPE_INLINE Vector at_least(Vector x, float limit) {
  Vector all = Vector{} + limit;
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_max_ps(reinterpret_cast<__m512>(all), reinterpret_cast<__m512>(x)));
#elif defined(__AVX__)
  return reinterpret_cast<Vector>(_mm256_max_ps(reinterpret_cast<__m256>(all), reinterpret_cast<__m256>(x)));
#else
  return x < all ? all : x;
#endif
}

// p · 2^n, n whole and between -126 and 127.
TINTYPE_INLINE Vector scaled(Vector p, Vector n) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_scalef_ps(reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(n)));
#else
  Integers whole = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * reinterpret_cast<Vector&>(whole);
#endif
}

// Below e^-87 all is 0: results that are subnormal cost a hundred times what others do.
// exp(x) = 2^n · e^r with |r| ≤ ln 2 / 2, e^r by Cephes' polynomial; relative error below 2e-7.
TINTYPE_INLINE Vector exp_polynomial(Vector x, Vector& n) {
  Vector zero = {};
  n = x * 1.44269504088896341f + 12582912.0f - 12582912.0f;  // rounded to nearest
  Vector r = x - n * 0.693359375f - n * -2.12194440e-4f;
  Vector p = zero + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r + 1.0f;
}

TINTYPE_INLINE Vector exp_of(Vector x) {
  Vector zero = {}, n;
  Vector high = zero + 88.3762626647949f, low = zero - 87.0f;
  Integers overflows = x > high, underflows = x < low, is_nan = x != x;
  x = x > high ? high : x;
  x = x < low ? low : x;
  x = is_nan ? zero : x;
  Vector p = exp_polynomial(x, n);
  // n may be 128, one more than a factor can hold: two factors.
  Integers whole = __builtin_convertvector(n, Integers), half = whole >> 1;
  Integers first = (half + 127) << 23, second = (whole - half + 127) << 23;
  Vector y = p * reinterpret_cast<Vector&>(first) * reinterpret_cast<Vector&>(second);
  y = overflows ? zero + __builtin_inff() : y;
  y = underflows ? zero : y;
  return is_nan ? zero + __builtin_nanf("") : y;
}

// The same for x ≤ 0, as softmax needs it; NaN stays NaN.
TINTYPE_INLINE Vector exp_below_zero(Vector x) {
  Vector zero = {}, low = zero - 87.0f, n;
  Integers underflows = x < low;
  Vector p = exp_polynomial(underflows ? low : x, n);
  Integers whole = (__builtin_convertvector(n, Integers) + 127) << 23;
  p *= reinterpret_cast<Vector&>(whole);
  return underflows ? zero : p;
}

// 1 + e^x, e^-87 to e^80 of it: beyond, quotients by it are what rounding leaves.
TINTYPE_INLINE Vector one_plus_exp(Vector x) {
  Vector n, p = exp_polynomial(at_least(at_most(x, 80.0f), -87.0f), n);
  return 1.0f + scaled(p, n);
}

// Rational approximation on [-4, 4], beyond which erf is ±1 in float32.
TINTYPE_INLINE Vector erf_of(Vector x) {
  Vector zero = {};
  x = at_least(at_most(x, 4.0f), -4.0f);
  Vector s = x * x;
  Vector p = zero - 2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  Vector q = zero - 1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return x * p / q;
}

// Cephes: a polynomial near 0, where 1 - 2 / (e^2x + 1) would lose digits.
TINTYPE_INLINE Vector tanh_of(Vector x) {
  Vector zero = {}, s = x * x;
  Vector p = zero - 5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  Vector small = p * s * x + x, large = 1.0f - 2.0f / (exp_of(x + x) + 1.0f);
  return s < zero + 0.390625f ? small : large;
}

TINTYPE_INLINE Vector sigmoid_of(Vector x) {
  return 1.0f / one_plus_exp(-x);
}

}  // namespace
