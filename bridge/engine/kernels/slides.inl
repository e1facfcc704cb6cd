// Windows that slide over neighbouring numbers. See micro_kernel.h.
namespace {

constexpr int kSlideVectors = 4;  // sums that hide each other's latency

template <typename Step>
TINTYPE_INLINE void slide(long count, int taps, const long* places, const float* x, float* y, Vector first,
                          Step step) {
  long i = 0;
  for (; i + kSlideVectors * kLanes <= count; i += kSlideVectors * kLanes) {
    Vector results[kSlideVectors] = {first, first, first, first};
    for (int t = 0; t < taps; ++t) {
      const float* from = x + i + places[t];
#pragma GCC unroll 4
      for (int k = 0; k < kSlideVectors; ++k) results[k] = step(results[k], load(from + k * kLanes), t);
    }
#pragma GCC unroll 4
    for (int k = 0; k < kSlideVectors; ++k) store(y + i + k * kLanes, results[k]);
  }
  for (; i < count; i += kLanes) {
    long rest = count - i < kLanes ? count - i : kLanes;
    float tail[kLanes] = {};
    Vector result = first;
    for (int t = 0; t < taps; ++t) {
      const float* from = x + i + places[t];
      if (rest == kLanes) {
        result = step(result, load(from), t);
        continue;
      }
      for (long j = 0; j < rest; ++j) tail[j] = from[j];
      result = step(result, load(tail), t);
    }
    store(tail, result);
    for (long j = 0; j < rest; ++j) y[i + j] = tail[j];
  }
}

void slide_sum(long count, int taps, const long* places, const float* weights, float bias, const float* x,
               float* y) {
  slide(count, taps, places, x, y, Vector{} + bias,
        [weights](Vector sum, Vector v, int t) __attribute__((always_inline)) { return sum + weights[t] * v; });
}

void slide_max(long count, int taps, const long* places, const float* x, float* y) {
  slide(count, taps, places, x, y, Vector{} - __builtin_inff(),
        [](Vector p, Vector q, int) __attribute__((always_inline)) {
          Vector higher = p > q ? p : q;
          return p != p ? p : higher;
        });
}

}  // namespace
