// Logarithms and the functions made of them and of exponentials, over vectors. See micro_kernel.h.
namespace {

// Cephes; the logarithm of 0 is -inf, that of a number below 0 is none.
TINTYPE_INLINE Vector log_of(Vector x) {
  constexpr float kInfinity = __builtin_inff(), kLeast = 1.17549435e-38f;
  Vector zero = {};
  Integers tiny = x < zero + kLeast;
  Vector scaled = tiny ? x * 8388608.0f : x;
  Integers bits = reinterpret_cast<Integers&>(scaled);
  Vector e = __builtin_convertvector((bits >> 23) - 126, Vector) - (tiny ? zero + 23.0f : zero);
  bits = (bits & 0x7fffff) | 0x3f000000;
  Vector m = reinterpret_cast<Vector&>(bits);
  Integers low = m < zero + 0.707106781186547524f;
  e = low ? e - 1.0f : e;
  m = low ? m + m - 1.0f : m - 1.0f;
  Vector z = m * m;
  Vector p = m * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  Vector y = m + (p * m * z + e * -2.12194440e-4f - z * 0.5f) + e * 0.693359375f;
  y = x == kInfinity ? x : y;
  y = x == zero ? zero - kInfinity : y;
  return x >= zero ? y : zero + __builtin_nanf("");
}

// log(1 + x) for x from 0 to 1: what 1 + x rounds away is put back.
TINTYPE_INLINE Vector log_beside_one(Vector x) {
  Vector sum = 1.0f + x, kept = sum - 1.0f;
  return kept == 0.0f ? x : log_of(sum) * (x / kept);
}

TINTYPE_INLINE Vector softplus_of(Vector x) {
  return at_least(x, 0.0f) + log_beside_one(exp_below_zero(-size_of(x)));
}

TINTYPE_INLINE Vector atanh_of(Vector x) {
  Vector a = size_of(x), z = x * x;
  Vector p = z * 1.81740078349e-1f + 8.24370301058e-2f;
  p = p * z + 1.46691431730e-1f;
  p = p * z + 1.99782164500e-1f;
  p = p * z + 3.33337300303e-1f;
  Vector far = log_of((1.0f + a) / (1.0f - a)) * 0.5f;
  return with_sign_of(a < 0.5f ? size_of(p * z * x + x) : far, x);
}

// e^|x| / 8, at most e^90 / 8: the functions below overflow after it where they should.
TINTYPE_INLINE Vector eighth_of_exp(Vector x) {
  return exp_near(at_most(size_of(x), 90.0f), 3);
}

TINTYPE_INLINE Vector sinh_of(Vector x) {
  Vector part = eighth_of_exp(x), z = x * x;
  Vector p = (z * 2.03721912945e-4f + 8.33028376239e-3f) * z + 1.66667160211e-1f;
  Vector far = part * 4.0f - 0.0625f / part;
  return size_of(x) < 1.0f ? p * z * x + x : with_sign_of(far, x);
}

TINTYPE_INLINE Vector cosh_of(Vector x) {
  Vector part = eighth_of_exp(x);
  return part * 4.0f + 0.0625f / part;
}

// In two factors, so that subnormal results are there too.
TINTYPE_INLINE Vector exp2_of(Vector x) {
  x = at_least(at_most(x, 129.0f), -151.0f);
  Vector n = x + 12582912.0f - 12582912.0f;
  Vector part = exp_near((x - n) * 0.69314718055994531f);
  Integers whole = __builtin_convertvector(n, Integers), half = whole >> 1;
  Integers first = (half + 127) << 23, second = (whole - half + 127) << 23;
  return part * reinterpret_cast<Vector&>(first) * reinterpret_cast<Vector&>(second);
}

// M. Giles, "Approximating the erfinv function" (2010), single precision.
TINTYPE_INLINE Vector inverse_erf_of(Vector x) {
  Vector zero = {}, w = -log_of((1.0f - x) * (1.0f + x));
  Vector near = w - 2.5f, far = sqrt_of(w) - 3.0f;
  constexpr float kNear[] = {2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                             -0.00125372503f, -0.00417768164f, 0.246640727f,    1.50140941f};
  constexpr float kFar[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                            -0.0076224613f,   0.00943887047f,  1.00167406f,    2.83297682f};
  Vector p = zero + kNear[0], q = zero + kFar[0];
  for (int i = 1; i < 9; ++i) p = p * near + kNear[i], q = q * far + kFar[i];
  return (w < 5.0f ? p : w == __builtin_inff() ? w : q) * x;
}

}  // namespace
