// Body of the micro kernels: the including file defines kLanes, kRows and the flags that make it fast.
namespace {

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int Integers __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

constexpr int kColumns = 2 * kLanes;

void multiply(int depth, const float* a, const float* b, float* c, long row_stride) {
  Vector sum[kRows][2] = {};
  for (int k = 0; k < depth; ++k) {
    Vector b0 = *reinterpret_cast<const Vector*>(b), b1 = *reinterpret_cast<const Vector*>(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      sum[i][0] += a[i] * b0;
      sum[i][1] += a[i] * b1;
    }
    a += kRows;
    b += kColumns;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    *reinterpret_cast<Vector*>(c + i * row_stride) += sum[i][0];
    *reinterpret_cast<Vector*>(c + i * row_stride + kLanes) += sum[i][1];
  }
}

// exp(x) = 2^n · e^r with |r| ≤ ln 2 / 2, e^r by Cephes' polynomial; relative error below 2e-7.
inline __attribute__((always_inline)) Vector exp_of(Vector x) {
  Vector zero = {};
  Vector high = zero + 88.3762626647949f, low = zero - 87.3365447504f;
  Integers overflows = x > high, underflows = x < low, is_nan = x != x;
  x = x > high ? high : x;
  x = x < low ? low : x;
  x = is_nan ? zero : x;
  Vector n = x * 1.44269504088896341f + 12582912.0f - 12582912.0f;  // rounded to nearest
  Vector r = x - n * 0.693359375f - n * -2.12194440e-4f;
  Vector p = zero + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // n may be 128, one more than a factor can hold: two factors.
  Integers whole = __builtin_convertvector(n, Integers), half = whole >> 1;
  Integers first = (half + 127) << 23, second = (whole - half + 127) << 23;
  Vector y = p * reinterpret_cast<Vector&>(first) * reinterpret_cast<Vector&>(second);
  y = overflows ? zero + __builtin_inff() : y;
  y = underflows ? zero : y;
  return is_nan ? zero + __builtin_nanf("") : y;
}

// Runs a vector function over `count` elements; the tail goes through a padded copy.
template <typename Function>
inline __attribute__((always_inline)) void map(long count, const float* x, float* y, Function function) {
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    *reinterpret_cast<Vector*>(y + i) = function(*reinterpret_cast<const Vector*>(x + i));
  }
  if (i == count) return;
  float tail[kLanes] = {};
  for (long j = i; j < count; ++j) tail[j - i] = x[j];
  *reinterpret_cast<Vector*>(tail) = function(*reinterpret_cast<const Vector*>(tail));
  for (long j = i; j < count; ++j) y[j] = tail[j - i];
}

void exponential(long count, const float* x, float* y) {
  map(count, x, y, [](Vector v) __attribute__((always_inline)) { return exp_of(v); });
}

void sigmoid(long count, const float* x, float* y) {
  map(count, x, y, [](Vector v) __attribute__((always_inline)) { return 1.0f / (1.0f + exp_of(-v)); });
}

void sigmoid_linear(long count, float scale, const float* x, float* y) {
  map(count, x, y,
      [scale](Vector v) __attribute__((always_inline)) { return v / (1.0f + exp_of(v * -scale)); });
}

void softmax(long count, const float* x, float* y) {
  float highest = x[0];
  for (long i = 1; i < count; ++i) highest = x[i] > highest || x[i] != x[i] ? x[i] : highest;
  map(count, x, y, [highest](Vector v) __attribute__((always_inline)) { return exp_of(v - highest); });
  float sums[kLanes] = {};
  long i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    *reinterpret_cast<Vector*>(sums) += *reinterpret_cast<const Vector*>(y + i);
  }
  float total = 0;
  for (; i < count; ++i) total += y[i];
  for (float sum : sums) total += sum;
  float factor = 1.0f / total;
  for (i = 0; i < count; ++i) y[i] *= factor;
}

}  // namespace
