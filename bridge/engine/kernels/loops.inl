// Loops over elements and rows. See micro_kernel.h.
namespace {

// Functions of angles, and logarithms.
template <typename T>
void slow_curve(Unary op, float a, long count, const T* x, T* y) {
  switch (op) {
    case Unary::kLog:
      return map(count, x, y, [a](Vector v) __attribute__((always_inline)) { return log_of(v + a); });
    case Unary::kExp2:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return exp2_of(v); });
    case Unary::kSoftplus:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return softplus_of(v); });
    case Unary::kInverseErf:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return inverse_erf_of(v); });
    case Unary::kSin:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return sin_of(v); });
    case Unary::kCos:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return cos_of(v); });
    case Unary::kTan:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return tan_of(v); });
    case Unary::kAsin:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return asin_of(v); });
    case Unary::kAcos:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return acos_of(v); });
    case Unary::kAtan:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return atan_of(v); });
    case Unary::kSinh:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return sinh_of(v); });
    case Unary::kCosh:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return cosh_of(v); });
    default:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return atanh_of(v); });
  }
}

// Curves with an exponential in them.
template <typename T>
void curve(Unary op, float a, long count, const T* x, T* y) {
  constexpr bool kHalf = sizeof(T) == 2;
  switch (op) {
    case Unary::kExp:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return exp_of(v); });
    case Unary::kErf:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return erf_of<kHalf>(v); });
    case Unary::kTanh:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return tanh_of<kHalf>(v); });
    case Unary::kSigmoid:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return sigmoid_of<kHalf>(v); });
    case Unary::kSigmoidLinear: {
      float limit = 80.0f / a;
      return map(count, x, y,
                 [a, limit](Vector v) __attribute__((always_inline)) { return sigmoid_linear_of<kHalf>(v, a, limit); });
    }
    case Unary::kGelu:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return gelu_of<kHalf>(v); });
    case Unary::kGeluTanh:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return gelu_tanh_of<kHalf>(v); });
    default:
      return slow_curve(op, a, count, x, y);
  }
}

template <typename T>
void unary(Unary op, float a, float b, long count, const T* x, T* y) {
  switch (op) {
    case Unary::kCopy:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return v; });
    case Unary::kRelu:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return v < 0.0f ? Vector{} : v; });
    case Unary::kAbs:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return v < 0.0f ? -v : v + 0.0f; });
    case Unary::kNegate:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return -v; });
    case Unary::kSquare:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return v * v; });
    case Unary::kSqrt:
      return map(count, x, y, [](Vector v) __attribute__((always_inline)) { return sqrt_of(v); });
    case Unary::kRsqrt:
      return map(count, x, y, [a](Vector v) __attribute__((always_inline)) { return 1.0f / sqrt_of(v + a); });
    case Unary::kInverse:
      return map(count, x, y, [a](Vector v) __attribute__((always_inline)) { return 1.0f / (v + a); });
    case Unary::kClip:
      return map(count, x, y, [a, b](Vector v) __attribute__((always_inline)) {
        Vector low = Vector{} + a, high = Vector{} + b;
        v = v < low ? low : v;
        return v > high ? high : v;
      });
    case Unary::kAffine:
      return map(count, x, y, [a, b](Vector v) __attribute__((always_inline)) { return v * a + b; });
    case Unary::kLeakyRelu:
      return map(count, x, y, [a](Vector v) __attribute__((always_inline)) { return v < 0.0f ? v * a : v; });
    default:
      return curve(op, a, count, x, y);
  }
}

template <typename T>
void binary(Binary op, long count, const T* x, int x_step, const T* z, int z_step, T* y) {
  switch (op) {
    case Binary::kAdd:
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) { return p + q; });
    case Binary::kSub:
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) { return p - q; });
    case Binary::kMul:
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) { return p * q; });
    case Binary::kDiv:
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) { return p / q; });
    case Binary::kMax:  // NaN wins, as in numpy
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) {
        Vector higher = p > q ? p : q;
        return p != p ? p : higher;
      });
    case Binary::kMin:
      return zip(count, x, x_step, z, z_step, y, [](Vector p, Vector q) __attribute__((always_inline)) {
        Vector lower = p < q ? p : q;
        return p != p ? p : lower;
      });
  }
}

// Four running sums, then lane by lane: the order depends on `count` alone.
template <typename Function>
TINTYPE_INLINE float sum_of(long count, const float* x, Function function) {
  Vector sums[4] = {};
  long i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] += function(load(x + i + k * kLanes));
  }
  for (; i + kLanes <= count; i += kLanes) sums[0] += function(load(x + i));
  Vector all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  if (i < count) {
    float tail[kLanes] = {};
    for (long j = i; j < count; ++j) tail[j - i] = x[j];
    Vector last = function(load(tail));
    for (long j = count - i; j < kLanes; ++j) last[j] = 0.0f;
    all += last;
  }
  float total = 0;
  for (int k = 0; k < kLanes; ++k) total += all[k];
  return total;
}

float sum(long count, const float* x) {
  return sum_of(count, x, [](Vector v) __attribute__((always_inline)) { return v; });
}

void softmax(long count, const float* x, float* y) {
  float highest = x[0];
  Vector peak = Vector{} + x[0];
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Vector v = load(x + i);
    peak = peak < v || v != v ? v : peak;
  }
  for (int k = 0; k < kLanes; ++k) highest = highest < peak[k] || peak[k] != peak[k] ? peak[k] : highest;
  for (; i < count; ++i) highest = highest < x[i] || x[i] != x[i] ? x[i] : highest;
  map(count, x, y, [highest](Vector v) __attribute__((always_inline)) { return exp_below_zero(v - highest); });
  float factor = 1.0f / sum(count, y);
  map(count, y, y, [factor](Vector v) __attribute__((always_inline)) { return v * factor; });
}

void softmax_rows(long count, float* x) {
  for (int half = 0; half < kColumns; half += kLanes) {
    float* column = x + half;
    Vector highest = load(column), total = {};
    for (long i = 1; i < count; ++i) {
      Vector v = load(column + i * kColumns);
      highest = highest < v || v != v ? v : highest;
    }
    for (long i = 0; i < count; ++i) {
      Vector v = exp_below_zero(load(column + i * kColumns) - highest);
      store(column + i * kColumns, v);
      total += v;
    }
    Vector factor = 1.0f / total;
    for (long i = 0; i < count; ++i) store(column + i * kColumns, load(column + i * kColumns) * factor);
  }
}

void normalize(long count, float epsilon, const float* x, const float* gamma, const float* beta, float* y) {
  float mean = sum(count, x) / static_cast<float>(count);
  float variance = sum_of(count, x, [mean](Vector v) __attribute__((always_inline)) {
    return (v - mean) * (v - mean);
  });
  float factor = 1.0f / __builtin_sqrtf(variance / static_cast<float>(count) + epsilon);
  map(count, x, y, [mean, factor](Vector v) __attribute__((always_inline)) { return (v - mean) * factor; });
  if (gamma) binary(Binary::kMul, count, y, 1, gamma, 1, y);
  if (beta) binary(Binary::kAdd, count, y, 1, beta, 1, y);
}

void fold(int keys, int values, float* scores, float* highest, float* total, float* output) {
  for (int half = 0; half < kColumns; half += kLanes) {
    float* column = scores + half;
    Vector before = load(highest + half), peak = before, zero = {};
    for (int i = 0; i < keys; ++i) {
      Vector v = load(column + i * kColumns);
      peak = peak < v || v != v ? v : peak;
    }
    // Nothing but -inf so far: subtracting that would make NaN of rows that later blocks may fill.
    Vector base = peak < zero - 3.4e38f ? zero : peak, sums = {};
    for (int i = 0; i < keys; ++i) {
      Vector v = exp_below_zero(load(column + i * kColumns) - base);
      store(column + i * kColumns, v);
      sums += v;
    }
    Vector scale = exp_below_zero(before - base);
    store(total + half, load(total + half) * scale + sums);
    store(highest + half, peak);
    for (int i = 0; i < values; ++i)
      store(output + i * kColumns + half, load(output + i * kColumns + half) * scale);
  }
}

using Half = unsigned short;

constexpr MicroKernel kKernel = {kRows,       kColumns,     multiply,      pack,         widen,
                                 narrow,      unary<float>, binary<float>, unary<Half>,  binary<Half>,
                                 element,     multiply_integers, softmax,      softmax_rows,  normalize,    sum,
                                 fold,        slide_sum,    slide_max};

}  // namespace
