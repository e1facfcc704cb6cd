#include "kernels/order.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 12;  // elements that are worth a thread

// A number's key, in whose order the numbers are; -0 and 0 have the same, NaN has the last.
uint32_t key_of(float value, bool ascending) {
  if (std::isnan(value)) return ~uint32_t{0};
  if (!ascending) value = -value;
  value += 0.0f;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

uint32_t key_of(int32_t value, bool ascending) {
  uint32_t key = static_cast<uint32_t>(value) ^ 0x80000000u;
  return ascending ? key : ~key;
}

/** input x, row-contiguous. */
class Order : public CpuPrimitive {
 public:
  Order(mx::Stream stream, bool ascending) : CpuPrimitive(stream), ascending_(ascending) {}
  const char* name() const override { return "TintypeOrder"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* y = static_cast<int32_t*>(allocate(out));
    if (out.size() == 0) return;
    const array& in = inputs[0];
    bool whole = in.dtype() == mx::int32;
    dispatch(stream(), [y, x = static_cast<const void*>(in.data<char>()), whole, ascending = ascending_,
                        length = in.shape(-1), count = out.shape(-1),
                        rows = static_cast<int64_t>(out.size()) / out.shape(-1)] {
      parallel(rows, std::max<int64_t>(1, kGrain / length), [&](int64_t first, int64_t last) {
        std::vector<uint64_t> keys(static_cast<size_t>(length));
        for (int64_t row = first; row < last; ++row) {
          if (whole)
            fill(static_cast<const int32_t*>(x) + row * length, ascending, keys);
          else
            fill(static_cast<const float*>(x) + row * length, ascending, keys);
          sort(keys, count);
          for (int i = 0; i < count; ++i)
            y[row * count + i] = static_cast<int32_t>(keys[static_cast<size_t>(i)] & 0xffffffffu);
        }
      });
    });
  }

 private:
  // The place below the key: no two are equal, and equal numbers stay as they lie.
  template <typename T>
  static void fill(const T* x, bool ascending, std::vector<uint64_t>& keys) {
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = uint64_t{key_of(x[i], ascending)} << 32 | i;
  }

  static void sort(std::vector<uint64_t>& keys, int count) {
    auto end = keys.begin() + count;
    if (end == keys.end()) return std::sort(keys.begin(), end);
    std::nth_element(keys.begin(), end, keys.end());
    std::sort(keys.begin(), end);
  }

  bool ascending_;
};

}  // namespace

bool can_order(const array& x) {
  return mx::default_device() == mx::Device::cpu && (x.dtype() == mx::float32 || x.dtype() == mx::int32);
}

array order_last(const array& x, int count, bool ascending) {
  mx::Shape shape = x.shape();
  shape.back() = count;
  return array(std::move(shape), mx::int32, std::make_shared<Order>(cpu_stream(), ascending), {dense(x)});
}

}  // namespace tintype::kernels
