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

// Half as many lanes, which float64 has room for.
typedef float HalfVector __attribute__((vector_size(kLanes * 2), aligned(4), may_alias));
typedef int HalfIntegers __attribute__((vector_size(kLanes * 2), aligned(4), may_alias));
typedef double Doubles __attribute__((vector_size(kLanes * 4), aligned(8), may_alias));

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

TINTYPE_INLINE Vector sqrt_of(Vector v) {
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}

TINTYPE_INLINE Vector floor_of(Vector v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_roundscale_ps(reinterpret_cast<__m512>(v), _MM_FROUND_TO_NEG_INF));
#elif defined(__AVX__)
  return reinterpret_cast<Vector>(_mm256_floor_ps(reinterpret_cast<__m256>(v)));
#else
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_floorf(v[i]);
  return v;
#endif
}

TINTYPE_INLINE Vector size_of(Vector x) {
  Integers bits = reinterpret_cast<Integers&>(x) & 0x7fffffff;
  return reinterpret_cast<Vector&>(bits);
}

// Runs a vector function over `count` numbers, float32 or float16; the tail goes through a padded copy.
template <typename T, typename Function>
TINTYPE_INLINE void map(long count, const T* x, T* y, Function function) {
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, function(load(x + i)));
  if (i == count) return;
  T tail[kLanes] = {};
  for (long j = i; j < count; ++j) tail[j - i] = x[j];
  store(tail, function(load(tail)));
  for (long j = i; j < count; ++j) y[j] = tail[j - i];
}

template <typename T>
TINTYPE_INLINE float value_of(T x) {
  if constexpr (sizeof(T) == 2)
    return widened(x);
  else
    return x;
}

template <typename T, typename Function>
TINTYPE_INLINE void zip(long count, const T* x, int x_step, const T* z, int z_step, T* y, Function function) {
  Vector x_all = Vector{} + value_of(x[0]), z_all = Vector{} + value_of(z[0]);
  long i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store(y + i, function(x_step ? load(x + i) : x_all, z_step ? load(z + i) : z_all));
  if (i == count) return;
  T left[kLanes] = {}, right[kLanes] = {};
  for (long j = i; j < count; ++j) left[j - i] = x[j * x_step], right[j - i] = z[j * z_step];
  store(left, function(load(left), load(right)));
  for (long j = i; j < count; ++j) y[j] = left[j - i];
}

}  // namespace
