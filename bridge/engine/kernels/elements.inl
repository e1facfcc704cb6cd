// Elements of lines of any type. See micro_kernel.h.
namespace {

// The compiler makes vectors of these loops: y may be one of the lines, but then at the same places.
template <typename Y, typename X, typename Function>
TINTYPE_INLINE void each(long count, const void* const* from, void* y, Function function) {
  auto* x = static_cast<const X*>(from[0]);
  auto* to = static_cast<Y*>(y);
#pragma GCC ivdep
  for (long i = 0; i < count; ++i) to[i] = function(x[i]);
}

template <typename Y, typename X, typename Function>
TINTYPE_INLINE void each_pair(long count, const void* const* from, void* y, Function function) {
  auto *x = static_cast<const X*>(from[0]), *z = static_cast<const X*>(from[1]);
  auto* to = static_cast<Y*>(y);
#pragma GCC ivdep
  for (long i = 0; i < count; ++i) to[i] = function(x[i], z[i]);
}

template <typename T>
TINTYPE_INLINE void select(long count, const void* const* from, void* y) {
  auto* condition = static_cast<const unsigned char*>(from[0]);
  auto *a = static_cast<const T*>(from[1]), *b = static_cast<const T*>(from[2]);
  auto* to = static_cast<T*>(y);
#pragma GCC ivdep
  for (long i = 0; i < count; ++i) {
    T mask = static_cast<T>(0) - static_cast<T>(condition[i] != 0);  // both are read: no branch, so vectors
    to[i] = static_cast<T>((a[i] & mask) | (b[i] & static_cast<T>(~mask)));
  }
}

template <typename Byte>
TINTYPE_INLINE void dequantize(long count, const void* const* from, void* y) {
  auto* x = static_cast<const Byte*>(from[0]);
  auto *scale = static_cast<const float*>(from[1]), *zero = static_cast<const float*>(from[2]);
  auto* to = static_cast<float*>(y);
  for (long i = 0; i < count; ++i) to[i] = (static_cast<float>(x[i]) - zero[i]) * scale[i];
}

TINTYPE_INLINE float rounded(float x) {
  return __builtin_rintf(x);
}

void quantize(float lowest, float highest, long count, const void* const* from, void* y) {
  auto *x = static_cast<const float*>(from[0]), *scale = static_cast<const float*>(from[1]),
       *zero = static_cast<const float*>(from[2]);
  auto* to = static_cast<unsigned char*>(y);
  for (long i = 0; i < count; ++i) {
    float v = rounded(x[i] / scale[i]) + zero[i];
    v = v > lowest ? v : lowest;  // of NaN, too
    v = v < highest ? v : highest;
    to[i] = static_cast<unsigned char>(static_cast<int>(v));
  }
}

TINTYPE_INLINE int saturated(float x) {
  bool high = x >= 2147483648.0f, inside = x >= -2147483648.0f && !high;
  int whole = static_cast<int>(inside ? x : 0.0f);
  return high ? 0x7fffffff : x < -2147483648.0f ? -0x7fffffff - 1 : whole;
}

#define TINTYPE_EACH(Y, X, ...) return each<Y, X>(count, from, to, [=](X v) __attribute__((always_inline)) -> Y { return __VA_ARGS__; })
#define TINTYPE_PAIR(Y, X, ...) return each_pair<Y, X>(count, from, to, [=](X p, X q) __attribute__((always_inline)) -> Y { return __VA_ARGS__; })
#define TINTYPE_VECTOR(...) return map(count, static_cast<const float*>(from[0]), static_cast<float*>(to), [=](Vector v) __attribute__((always_inline)) { return __VA_ARGS__; })

#define TINTYPE_VECTORS(...) return zip(count, static_cast<const float*>(from[0]), 1, static_cast<const float*>(from[1]), 1, static_cast<float*>(to), [=](Vector p, Vector q) __attribute__((always_inline)) { return __VA_ARGS__; })

// e^x - 1 for x ≤ 0: near 0 a polynomial, since the difference has no digits there.
TINTYPE_INLINE Vector exp_minus_one(Vector x) {
  Vector p = x * 1.98412698e-4f + 1.38888889e-3f;
  p = p * x + 8.33333333e-3f;
  p = p * x + 4.16666667e-2f;
  p = p * x + 1.66666667e-1f;
  p = p * x + 0.5f;
  Vector near = p * x * x + x;
  return x > -0.4f ? near : exp_below_zero(x) - 1.0f;
}

TINTYPE_INLINE Vector elu_of(Vector x, float a) {
  Vector below = exp_minus_one(at_most(x, 0.0f)) * a;
  return x > 0.0f ? x : below;
}

void float_element(Element op, float a, float b, long count, const void* const* from, void* to) {
  switch (op) {
    case Element::kCeil:
      TINTYPE_EACH(float, float, __builtin_ceilf(v));
    case Element::kFloor:
      TINTYPE_EACH(float, float, __builtin_floorf(v));
    case Element::kRound:
      TINTYPE_EACH(float, float, rounded(v));
    case Element::kSign:
      TINTYPE_EACH(float, float, v > 0.0f ? 1.0f : v < 0.0f ? -1.0f : v != v ? v : 0.0f);
    case Element::kThreshold:
      TINTYPE_VECTOR(v < a ? Vector{} + a : v);
    case Element::kThresholdedRelu:
      TINTYPE_VECTOR(v < a ? Vector{} : v);
    case Element::kClampedRelu:
      TINTYPE_VECTOR(at_most(v < 0.0f ? v * a : v, b));
    case Element::kElu:
      TINTYPE_VECTOR(elu_of(v, a));
    case Element::kScaledTanh:
      TINTYPE_VECTOR(tanh_of<false>(v * b) * a);
    case Element::kSigmoidHard:
      TINTYPE_VECTOR(at_most(at_least(v * a + b, 0.0f), 1.0f));
    case Element::kSoftsign:
      TINTYPE_EACH(float, float, v / (__builtin_fabsf(v) + 1.0f));
    case Element::kPrelu:
      TINTYPE_PAIR(float, float, p * (p < 0.0f ? q : 1.0f));
    case Element::kFloorDiv:
      TINTYPE_VECTORS(floored_quotient(p, q));
    case Element::kMod:
      TINTYPE_VECTORS(floored_mod(p, q));
    default:
      TINTYPE_VECTORS(power_of(p, q));
  }
}

void compare(Element op, long count, const void* const* from, void* to) {
  using Byte = unsigned char;
  switch (op) {
    case Element::kEqual:
      TINTYPE_PAIR(Byte, float, p == q);
    case Element::kNotEqual:
      TINTYPE_PAIR(Byte, float, p != q);
    case Element::kLess:
      TINTYPE_PAIR(Byte, float, p < q);
    case Element::kLessEqual:
      TINTYPE_PAIR(Byte, float, p <= q);
    case Element::kIntEqual:
      TINTYPE_PAIR(Byte, int, p == q);
    case Element::kIntNotEqual:
      TINTYPE_PAIR(Byte, int, p != q);
    case Element::kIntLess:
      TINTYPE_PAIR(Byte, int, p < q);
    case Element::kIntLessEqual:
      TINTYPE_PAIR(Byte, int, p <= q);
    case Element::kAnd:
      TINTYPE_PAIR(Byte, Byte, static_cast<Byte>((p != 0) & (q != 0)));
    case Element::kOr:
      TINTYPE_PAIR(Byte, Byte, static_cast<Byte>((p | q) != 0));
    case Element::kXor:
      TINTYPE_PAIR(Byte, Byte, static_cast<Byte>((p != 0) != (q != 0)));
    default:
      TINTYPE_EACH(Byte, Byte, v == 0);
  }
}

void int_element(Element op, long count, const void* const* from, void* to) {
  switch (op) {
    case Element::kIntAbs:
      TINTYPE_EACH(unsigned, unsigned, v >> 31 ? 0u - v : v);
    case Element::kIntSign:
      TINTYPE_EACH(int, int, (v > 0) - (v < 0));
    case Element::kIntAdd:
      TINTYPE_PAIR(unsigned, unsigned, p + q);
    case Element::kIntSub:
      TINTYPE_PAIR(unsigned, unsigned, p - q);
    case Element::kIntMul:
      TINTYPE_PAIR(unsigned, unsigned, p * q);
    case Element::kIntMax:
      TINTYPE_PAIR(int, int, p > q ? p : q);
    case Element::kIntMin:
      TINTYPE_PAIR(int, int, p < q ? p : q);
    case Element::kIntDiv:
      return divide<Rounding::kTruncated>(count, static_cast<const int*>(from[0]), static_cast<const int*>(from[1]), static_cast<int*>(to));
    case Element::kIntFloorDiv:
      return divide<Rounding::kFloored>(count, static_cast<const int*>(from[0]), static_cast<const int*>(from[1]), static_cast<int*>(to));
    case Element::kIntMod:
      return divide<Rounding::kRemainder>(count, static_cast<const int*>(from[0]), static_cast<const int*>(from[1]), static_cast<int*>(to));
    default:
      return whole_powers(count, static_cast<const int*>(from[0]), static_cast<const int*>(from[1]), static_cast<int*>(to));
  }
}

void element(Element op, float a, float b, long count, const void* const* from, void* to) {
  using Byte = unsigned char;
  if (op <= Element::kPow) return float_element(op, a, b, count, from, to);
  if (op <= Element::kNot) return compare(op, count, from, to);
  if (op <= Element::kIntPow) return int_element(op, count, from, to);
  switch (op) {
    case Element::kFloatToInt:
      TINTYPE_EACH(int, float, saturated(v));
    case Element::kIntToFloat:
      TINTYPE_EACH(float, int, static_cast<float>(v));
    case Element::kFloatToBool:
      TINTYPE_EACH(Byte, float, v != 0.0f);
    case Element::kIntToBool:
      TINTYPE_EACH(Byte, int, v != 0);
    case Element::kBoolToFloat:
      TINTYPE_EACH(float, Byte, v ? 1.0f : 0.0f);
    case Element::kBoolToInt:
      TINTYPE_EACH(int, Byte, v != 0);
    case Element::kSelect1:
      return select<Byte>(count, from, to);
    case Element::kSelect2:
      return select<unsigned short>(count, from, to);
    case Element::kSelect4:
      return select<unsigned>(count, from, to);
    case Element::kQuantize:
      return quantize(a, b, count, from, to);
    case Element::kDequantize:
      return dequantize<signed char>(count, from, to);
    default:
      return dequantize<Byte>(count, from, to);
  }
}

#undef TINTYPE_EACH
#undef TINTYPE_PAIR
#undef TINTYPE_VECTOR
#undef TINTYPE_VECTORS

}  // namespace
