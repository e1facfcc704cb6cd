// Threefry-2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), laid out as MLX does.
#include "kernels/random.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 14;  // pairs that are worth a thread
constexpr int64_t kPairs = 256;      // that stay in the first cache

struct Key {
  uint32_t a, b;
};

void rotate(uint32_t& x, uint32_t& y, int by) {
  x += y;
  y = (y << by | y >> (32 - by)) ^ x;
}

// (x, y) becomes the bits of counter (x, y).
void scramble(Key key, uint32_t& x, uint32_t& y) {
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t keys[] = {key.a, key.b, key.a ^ key.b ^ 0x1BD11BDAu};
  x += keys[0], y += keys[1];
  for (uint32_t round = 0; round < 5; ++round) {
    for (int by : kRotations[round % 2]) rotate(x, y, by);
    x += keys[(round + 1) % 3], y += keys[(round + 2) % 3] + round + 1;
  }
}

/** No input. */
class RandomUniform : public CpuPrimitive {
 public:
  RandomUniform(mx::Stream stream, float low, float high, Key key)
      : CpuPrimitive(stream), low_(low), range_(high - low), key_(key) {}
  const char* name() const override { return "TintypeRandomUniform"; }

  void eval_cpu(const std::vector<array>&, array& out) override {
    auto* y = static_cast<float*>(allocate(out));
    auto all = static_cast<int64_t>(out.size());
    if (all == 0) return;
    dispatch(stream(), [this_key = key_, low = low_, range = range_, y, all] {
      // Element i and element i + second come of one counter; the middle one of an odd count of its own.
      int64_t pairs = all / 2, second = pairs + all % 2;
      parallel(pairs, kGrain, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; i += kPairs) {
          uint32_t a[kPairs], b[kPairs];
          int64_t count = std::min(kPairs, last - i);
          for (int64_t k = 0; k < count; ++k) {
            a[k] = static_cast<uint32_t>(i + k), b[k] = static_cast<uint32_t>(i + k + second);
            scramble(this_key, a[k], b[k]);
          }
          scale(a, count, low, range, y + i);
          scale(b, count, low, range, y + i + second);
        }
      });
      if (all % 2) {
        auto a = static_cast<uint32_t>(pairs);
        uint32_t b = 0;
        scramble(this_key, a, b);
        scale(&a, 1, low, range, y + pairs);
      }
    });
  }

 private:
  static void scale(const uint32_t* bits, int64_t count, float low, float range, float* y) {
    constexpr float kBelowOne = 0x1.fffffep-1f, kUnit = 0x1p-32f;
    for (int64_t i = 0; i < count; ++i)
      y[i] = std::min(static_cast<float>(bits[i]) * kUnit, kBelowOne) * range + low;
  }

  float low_, range_;
  Key key_;
};

}  // namespace

array random_uniform(const mx::Shape& shape, float low, float high, uint64_t seed) {
  Key key{static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)};
  return array(shape, mx::float32, std::make_shared<RandomUniform>(cpu_stream(), low, high, key), {});
}

}  // namespace tintype::kernels
