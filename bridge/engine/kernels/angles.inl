// Trigonometric functions and their inverses, over vectors. See micro_kernel.h.
namespace {

constexpr float kPi = 3.14159265358979324f, kHalfPi = kPi / 2;

TINTYPE_INLINE bool any_of(Integers mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(mask), reinterpret_cast<__m512i>(mask)) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(mask)) != 0;
#else
  int any = 0;
  for (int i = 0; i < kLanes; ++i) any |= mask[i];
  return any != 0;
#endif
}

TINTYPE_INLINE Vector with_sign_of(Vector size, Vector x) {
  Integers bits = reinterpret_cast<Integers&>(size) | (reinterpret_cast<Integers&>(x) & static_cast<int>(0x80000000u));
  return reinterpret_cast<Vector&>(bits);
}

/** x = quarters · π / 2 + rest, |rest| ≤ π / 4. */
struct Turn {
  Vector rest;
  Integers quarters;
};

constexpr float kFarthestTurn = 1e6f;  // up to which the quarters, times the first part of π / 2, are exact

// In float64: near a multiple of π nothing else leaves digits.
TINTYPE_INLINE Turn turn_of(Vector x) {
  constexpr double kRounder = 6755399441055744.0;  // 1.5 · 2^52
  constexpr double kFirst = 1.57079632673412561417, kSecond = 6.07710050650619224932e-11;
  Turn turn;
  for (int half = 0; half < 2; ++half) {
    HalfVector part;
    __builtin_memcpy(&part, reinterpret_cast<char*>(&x) + half * sizeof(part), sizeof(part));
    Doubles wide = __builtin_convertvector(part, Doubles);
    Doubles n = wide * 0.63661977236758134308 + kRounder - kRounder;
    HalfVector rest = __builtin_convertvector(wide - n * kFirst - n * kSecond, HalfVector);
    HalfIntegers quarters = __builtin_convertvector(n, HalfIntegers);
    __builtin_memcpy(reinterpret_cast<char*>(&turn.rest) + half * sizeof(rest), &rest, sizeof(rest));
    __builtin_memcpy(reinterpret_cast<char*>(&turn.quarters) + half * sizeof(rest), &quarters, sizeof(rest));
  }
  return turn;
}

// Cephes' polynomials up to π / 4.
TINTYPE_INLINE Vector near_sin(Vector x) {
  Vector z = x * x;
  return ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
}

TINTYPE_INLINE Vector near_cos(Vector x) {
  Vector z = x * x;
  return ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - z * 0.5f + 1.0f;
}

// The few places farther than that, and what is no number, go to the C library.
template <typename Exact>
TINTYPE_INLINE Vector with_far(Vector x, Vector y, Exact exact) {
  Integers far = ~(size_of(x) <= kFarthestTurn);
  if (__builtin_expect(any_of(far), 0)) {
    for (int i = 0; i < kLanes; ++i) {
      if (far[i]) y[i] = static_cast<float>(exact(static_cast<double>(x[i])));
    }
  }
  return y;
}

// sin(x + shift · π / 2)
TINTYPE_INLINE Vector wave_of(Turn turn, int shift) {
  Integers quarters = turn.quarters + shift;
  Vector y = (quarters & 1) != 0 ? near_cos(turn.rest) : near_sin(turn.rest);
  Integers bits = reinterpret_cast<Integers&>(y) ^ ((quarters & 2) << 30);
  return reinterpret_cast<Vector&>(bits);
}

TINTYPE_INLINE Vector near_of(Vector x) {
  return size_of(x) <= kFarthestTurn ? x : Vector{};
}

TINTYPE_INLINE Vector sin_of(Vector x) {
  return with_far(x, wave_of(turn_of(near_of(x)), 0), [](double v) { return __builtin_sin(v); });
}

TINTYPE_INLINE Vector cos_of(Vector x) {
  return with_far(x, wave_of(turn_of(near_of(x)), 1), [](double v) { return __builtin_cos(v); });
}

TINTYPE_INLINE Vector tan_of(Vector x) {
  Turn turn = turn_of(near_of(x));
  Vector s = near_sin(turn.rest), c = near_cos(turn.rest);
  Integers odd = (turn.quarters & 1) != 0;
  Vector y = (odd ? -c : s) / (odd ? s : c);
  return with_far(x, y, [](double v) { return __builtin_tan(v); });
}

// asin and its distance from π / 2, by Cephes: of |x|, or of the root of (1 - |x|) / 2 where that is smaller.
struct Arc {
  Integers far;  // |x| > 1 / 2
  Vector angle;  // asin |x|, or half of acos |x| where far
};

TINTYPE_INLINE Arc arc_of(Vector x) {
  Vector a = size_of(x);
  Integers far = a > Vector{} + 0.5f;
  Vector z = far ? 0.5f - a * 0.5f : a * a, w = far ? sqrt_of(z) : a;
  Vector p = z * 4.2163199048e-2f + 2.4181311049e-2f;
  p = p * z + 4.5470025998e-2f;
  p = p * z + 7.4953002686e-2f;
  p = p * z + 1.6666752422e-1f;
  return {far, p * z * w + w};
}

TINTYPE_INLINE Vector asin_of(Vector x) {
  Arc arc = arc_of(x);
  return with_sign_of(arc.far ? kHalfPi - (arc.angle + arc.angle) : arc.angle, x);
}

TINTYPE_INLINE Vector acos_of(Vector x) {
  Arc arc = arc_of(x);
  Integers below = x < 0.0f;
  Vector twice = arc.angle + arc.angle, beside = below ? kHalfPi + arc.angle : kHalfPi - arc.angle;
  return arc.far ? (below ? kPi - twice : twice) : beside;
}

TINTYPE_INLINE Vector atan_of(Vector x) {
  Vector a = size_of(x), zero = {};
  Integers steep = a > zero + 2.414213562373095f, middle = a > zero + 0.4142135623730950f;
  Vector base = steep ? zero + kHalfPi : middle ? zero + kHalfPi / 2 : zero;
  Vector w = steep ? -1.0f / a : middle ? (a - 1.0f) / (a + 1.0f) : a, z = w * w;
  Vector p = z * 8.05374449538e-2f - 1.38776856032e-1f;
  p = p * z + 1.99777106478e-1f;
  p = p * z - 3.33329491539e-1f;
  return with_sign_of(base + (p * z * w + w), x);
}

}  // namespace
