// Exponentials and the curves made of them, over vectors. See micro_kernel.h.
//
// Where kHalf is true both what goes in and what comes out is float16: a curve may then be wrong by 2^-13 before
// it is rounded to eleven bits.
namespace {

// Below e^-86.5 all is 0: results that are subnormal cost a hundred times what others do.
constexpr float kLowest = -86.5f;

#if defined(__AVX2__)
// 2^x = 2^n · 2^(k / kPowers) · 2^rest: the middle out of a register (two with AVX-512), 2^rest by a polynomial.
// Exponents are powers of 2 here, of e elsewhere; e is 2^kE.
constexpr float kE = 1.44269504088896341f, kTwo = 1.0f;
constexpr int kPowers = kLanes == 16 ? 32 : 8, kBits = kLanes == 16 ? 18 : 20;  // kPowers · 2^kBits = 2^23
constexpr float kToSteps = 1.5f * (1 << kBits);  // what is added to it is rounded to whole 1 / kPowers

struct Powers {
  alignas(64) float of[kPowers];

  constexpr Powers() : of() {
    for (int k = 0; k < kPowers; ++k) {
      double x = k * 0.69314718055994530942 / kPowers, term = 1, sum = 1;
      for (int i = 1; i < 20; ++i) term *= x / i, sum += term;
      of[k] = static_cast<float>(sum);
    }
  }
};
constexpr Powers kPowersOfTwo;

// 2^(n + rest - lowered): n = sum - kToSteps, |rest| at most half a step; relative error below 2e-7, with
// AVX-512 and kHalf 6e-5.
template <bool kHalf>
TINTYPE_INLINE Vector power_of_two(Vector sum, Vector rest, int lowered) {
#if defined(__AVX512F__)
  __m512 power = _mm512_permutex2var_ps(_mm512_load_ps(kPowersOfTwo.of), reinterpret_cast<__m512i>(sum),
                                        _mm512_load_ps(kPowersOfTwo.of + 16));
  Vector part = reinterpret_cast<Vector>(power);
  if constexpr (kHalf)
    part = part * (rest * 0.69314718f) + part;
  else
    part = part * rest * (rest * 0.240226507f + 0.693157344f) + part;
  Vector n = sum - kToSteps - static_cast<float>(lowered);
  return reinterpret_cast<Vector>(
      _mm512_scalef_ps(reinterpret_cast<__m512>(part), reinterpret_cast<__m512>(n)));
#else
  __m256 power = _mm256_permutevar8x32_ps(_mm256_load_ps(kPowersOfTwo.of), reinterpret_cast<__m256i>(sum));
  // The low bits of `sum` are k, those above them are added to the exponent.
  constexpr int kAbove = -kPowers;
  Integers exponent = ((reinterpret_cast<Integers&>(sum) & kAbove) << kBits) - (lowered << 23);
  exponent += reinterpret_cast<Integers>(power);
  Vector part = reinterpret_cast<Vector&>(exponent);
  return part * rest * ((rest * 0.05549622f + 0.24025763f) * rest + 0.69314721f) + part;
#endif
}

// base^(a · b), at most e^87 and at least e^-86.5.
template <bool kHalf>
TINTYPE_INLINE Vector power(Vector a, Vector b) {
  Vector sum = a * b + kToSteps;
  return power_of_two<kHalf>(sum, a * b - (sum - kToSteps), 0);
}

// e^x / 2^lowered for numbers that are not subnormal.
TINTYPE_INLINE Vector exp_near(Vector x, int lowered = 0) {
  constexpr float kRestOfE = 1.92596299e-8f;  // log2(e) - kE
  Vector sum = x * kE + kToSteps;
  return power_of_two<false>(sum, x * kE - (sum - kToSteps) + x * kRestOfE, lowered);
}
#else
constexpr float kE = 1.0f, kTwo = 0.69314718055994531f;

// e^x / 2^lowered = 2^n · e^r with |r| ≤ ln 2 / 2, e^r by Cephes' polynomial; relative error below 2e-7.
TINTYPE_INLINE Vector exp_near(Vector x, int lowered = 0) {
  Vector zero = {};
  Vector n = x * 1.44269504088896341f + 12582912.0f - 12582912.0f;  // rounded to nearest
  Vector r = x - n * 0.693359375f - n * -2.12194440e-4f;
  Vector p = zero + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  Integers exponent = (__builtin_convertvector(n, Integers) + (127 - lowered)) << 23;
  return (p * r * r + r + 1.0f) * reinterpret_cast<Vector&>(exponent);
}

// base^(a · b), at most e^87 and at least e^-86.5.
template <bool kHalf>
TINTYPE_INLINE Vector power(Vector a, Vector b) {
  return exp_near(a * b);
}
#endif

// x / d, d from 2^-120 to 2^120 in size: with vectors this wide a division takes longer than all the rest of a
// curve.
template <bool kHalf>
TINTYPE_INLINE Vector quotient(Vector x, Vector d) {
#if defined(__AVX512F__)
  Vector y = reinterpret_cast<Vector>(_mm512_rcp14_ps(reinterpret_cast<__m512>(d)));
  return kHalf ? x * y : x * y * (2.0f - d * y);
#else
  return x / d;
#endif
}

// Half of e^x and twice that: the largest results have an exponent that e^x has no room for on the way.
TINTYPE_INLINE Vector exp_of(Vector x) {
  Vector zero = {}, low = zero + kLowest;
  Integers underflows = x < low;
  Vector half = exp_near(at_least(at_most(x, 89.0f), kLowest), 1);
  return underflows ? zero : half + half;
}

// The same for x ≤ 0, as softmax needs it.
TINTYPE_INLINE Vector exp_below_zero(Vector x) {
  Vector zero = {}, low = zero + kLowest;
  Integers underflows = x < low;
  Vector y = exp_near(at_least(x, kLowest));
  return underflows ? zero : y;
}

// Rational approximation on [-4, 4], beyond which erf is ±1 in float32.
template <bool kHalf>
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
  return quotient<kHalf>(x * p, q);
}

// Cephes: a polynomial near 0, where 1 - 2 / (e^2x + 1) would lose digits.
template <bool kHalf>
TINTYPE_INLINE Vector tanh_of(Vector x) {
  Vector zero = {}, s = x * x;
  Vector p = zero - 5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  Vector limited = at_least(at_most(x, 40.0f), -40.0f);
  Vector small = p * s * x + x, large = 1.0f - quotient<kHalf>(zero + 2.0f, 1.0f + power<kHalf>(limited, zero + 2 * kE));
  return s < zero + 0.390625f ? small : large;
}

template <bool kHalf>
TINTYPE_INLINE Vector sigmoid_of(Vector x) {
  Vector zero = {};
  return quotient<kHalf>(zero + 1.0f, 1.0f + power<kHalf>(at_least(at_most(x, 80.0f), -80.0f), zero - kE));
}

// x · sigmoid(a · x) for a > 0; `limit` is 80 / a, beyond which rounding leaves x or next to nothing.
template <bool kHalf>
TINTYPE_INLINE Vector sigmoid_linear_of(Vector x, float a, float limit) {
  x = at_least(x, -limit);
  return quotient<kHalf>(x, 1.0f + power<kHalf>(at_most(x, limit), Vector{} - a * kE));
}

// (1 + tanh(z)) / 2 is sigmoid(2 z).
template <bool kHalf>
TINTYPE_INLINE Vector gelu_tanh_of(Vector x) {
  constexpr float kOne = -1.5957691216057308f * kE, kThree = 0.044715f * kOne;
  x = at_least(x, -9.5f);
  Vector limited = at_most(x, 9.5f);
  return quotient<kHalf>(x, 1.0f + power<kHalf>(limited, limited * limited * kThree + kOne));
}

// max(x, 0) - |x| · Φ(-|x|), with Φ(-a) = 2^(polynomial of a), fitted for a up to 6.5, where the product is 3e-10.
// Relative error below 4e-5, and below 8e-6 for |x| < 3; x · (1 + erf(x / √2)) / 2 has none of its digits left
// where x is negative.
template <bool kHalf>
TINTYPE_INLINE Vector gelu_of(Vector x) {
  Vector zero = {}, a = at_most(size_of(x), 6.5f);
  Vector t = zero + 9.755393648447352e-08f * kTwo;
  t = t * a - 2.6175366656389087e-06f * kTwo;
  t = t * a + 2.713866160775069e-05f * kTwo;
  t = t * a - 1.0939829371636733e-04f * kTwo;
  t = t * a - 3.496921854093671e-04f * kTwo;
  t = t * a + 7.3642549104988575e-03f * kTwo;
  t = t * a - 5.2711647003889084e-02f * kTwo;
  t = t * a - 4.5913878083229065e-01f * kTwo;
  t = t * a - 1.1511123180389404f * kTwo;
  return at_least(x, 0.0f) - a * power<kHalf>(t * a - kTwo, zero + 1.0f);
}

}  // namespace
