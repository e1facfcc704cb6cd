#include "kernels/integer_matmul.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int kRows = 4;       // of x that share what is read of y
constexpr int kColumns = 256;  // of y: with kRows of them the sums stay in the first cache

/** One product of row-contiguous matrices; unsigned, whose sums wrap around. */
struct IntegerProduct {
  const uint32_t *x, *y;
  uint32_t* out;
  int m, n, k;

  // Rows [row, row + kRows) and columns [column, column + kColumns) of the result, as far as there are such.
  void block(int row, int column) const {
    int rows = std::min(kRows, m - row), columns = std::min(kColumns, n - column);
    std::array<std::array<uint32_t, kColumns>, kRows> sums{};
    for (int i = 0; i < k; ++i) {
      const uint32_t* from = y + int64_t{i} * n + column;
      for (int r = 0; r < rows; ++r) {
        uint32_t factor = x[int64_t{row + r} * k + i];
        uint32_t* to = sums[static_cast<size_t>(r)].data();
        for (int j = 0; j < columns; ++j) to[j] += factor * from[j];
      }
    }
    for (int r = 0; r < rows; ++r)
      std::copy_n(sums[static_cast<size_t>(r)].data(), columns, out + int64_t{row + r} * n + column);
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
      int64_t down = (m + kRows - 1) / kRows, across = (n + kColumns - 1) / kColumns;
      parallel_tasks(size / (m * n) * down * across, [&](int64_t task) {
        int64_t batch = task / (down * across), rest = task % (down * across);
        IntegerProduct one = whole;
        one.x += batch * m * k, one.y += batch * k * n, one.out += batch * m * n;
        one.block(static_cast<int>(rest % down) * kRows, static_cast<int>(rest / down) * kColumns);
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
