#include "kernels/integer_matmul.h"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

/** One product of row-contiguous matrices; unsigned, whose sums wrap around. */
struct IntegerProduct {
  const uint32_t *x, *y;
  uint32_t* out;
  int m, n, k;

  // A block of the result from (row, column) on, as far as there is one.
  void block(int row, int column) const {
    micro_kernel().multiply_integers(std::min(kIntegerRows, m - row), std::min(kIntegerColumns, n - column),
                                     k, x + int64_t{row} * k, k, y + column, n,
                                     out + int64_t{row} * n + column, n);
  }
};

/** inputs x [..., m, k] and y [..., k, n], row-contiguous, with the same leading axes. */
class IntegerMatmul : public CpuPrimitive {
 public:
  using CpuPrimitive::CpuPrimitive;
  const char* name() const override { return "TintypeIntegerMatmul"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* to = static_cast<uint32_t*>(allocate(out));
    if (out.size() == 0) return;
    IntegerProduct whole{reinterpret_cast<const uint32_t*>(inputs[0].data<int32_t>()),
                         reinterpret_cast<const uint32_t*>(inputs[1].data<int32_t>()),
                         to,
                         out.shape(-2),
                         out.shape(-1),
                         inputs[0].shape(-1)};
    dispatch(stream(), [whole, size = static_cast<int64_t>(out.size())] {
      int64_t m = whole.m, n = whole.n, k = whole.k;
      int64_t down = (m + kIntegerRows - 1) / kIntegerRows,
              across = (n + kIntegerColumns - 1) / kIntegerColumns;
      parallel_tasks(size / (m * n) * down * across, [&](int64_t task) {
        int64_t batch = task / (down * across), rest = task % (down * across);
        IntegerProduct one = whole;
        one.x += batch * m * k, one.y += batch * k * n, one.out += batch * m * n;
        one.block(static_cast<int>(rest % down) * kIntegerRows,
                  static_cast<int>(rest / down) * kIntegerColumns);
      });
    });
  }
};

}  // namespace

array multiply_integers(const array& x, const array& y) {
  mx::Device cpu(mx::Device::cpu);
  array a = x.ndim() == 1 ? mx::expand_dims(x, 0, cpu) : x,
        b = y.ndim() == 1 ? mx::expand_dims(y, 1, cpu) : y;
  auto leading = [](const array& z) { return mx::Shape(z.shape().begin(), z.shape().end() - 2); };
  mx::Shape shape = mx::broadcast_shapes(leading(a), leading(b));
  auto spread = [&](const array& z) {
    mx::Shape to = shape;
    to.insert(to.end(), z.shape().end() - 2, z.shape().end());
    array whole = mx::astype(mx::broadcast_to(z, to, cpu), mx::int32, cpu);
    return mx::default_device() == cpu ? dense(whole) : mx::contiguous(whole, false, cpu);
  };
  mx::Shape result = shape;
  result.push_back(a.shape(-2)), result.push_back(b.shape(-1));
  array product(std::move(result), mx::int32, std::make_shared<IntegerMatmul>(cpu_stream()),
                {spread(a), spread(b)});
  if (y.ndim() == 1) product = mx::squeeze(product, -1, cpu);
  return x.ndim() == 1 ? mx::squeeze(product, y.ndim() == 1 ? -1 : -2, cpu) : product;
}

}  // namespace tintype::kernels
