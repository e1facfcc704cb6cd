#include "kernels/primitives.h"

#include <algorithm>
#include <array>

#include "kernels/gemm.h"
#include "kernels/micro_kernel.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/primitives.h"

namespace tintype::kernels {

namespace mx = mlx::core;
using mx::array;

namespace {

constexpr int64_t kGrain = 1 << 14;  // elements that are worth a thread

mx::Stream cpu_stream() {
  return mx::default_stream(mx::Device::cpu);
}

/** Allocates the output and hands `work` to the stream; what it captures are addresses that MLX keeps alive.
 */
template <typename Work>
void dispatch(const mx::Stream& stream, Work&& work) {
  mx::cpu::get_command_encoder(stream).dispatch(std::forward<Work>(work));
}

/** Base of primitives that exist on the CPU only. */
class CpuPrimitive : public mx::UnaryPrimitive {
 public:
  explicit CpuPrimitive(mx::Stream stream) : UnaryPrimitive(stream) {}
  void eval_gpu(const std::vector<array>&, array&) override {
    throw std::runtime_error("this primitive runs on the CPU only");
  }
};

float* allocate(array& out) {
  out.set_data(mx::allocator::malloc(out.nbytes()));
  auto* data = out.data<float>();
  if (!data && out.size()) throw std::bad_alloc();
  return data;
}

// c [rows, columns] = the bias in every row, or 0.
void fill_rows(float* c, int64_t rows, int64_t columns, const float* bias) {
  for (int64_t i = 0; i < rows; ++i) {
    if (bias)
      std::copy(bias, bias + columns, c + i * columns);
    else
      std::fill(c + i * columns, c + (i + 1) * columns, 0.0f);
  }
}

/** Offset of batch element `index` in an array whose leading axes are the batch. */
int64_t batch_offset(const mx::Shape& shape, const mx::Strides& strides, int64_t index) {
  int64_t offset = 0;
  for (int axis = static_cast<int>(shape.size()) - 3; axis >= 0; --axis) {
    offset += index % shape[axis] * strides[axis];
    index /= shape[axis];
  }
  return offset;
}

/** inputs a, b of equal leading axes, any strides, and perhaps a bias of the last axis. */
class Matmul : public CpuPrimitive {
 public:
  explicit Matmul(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "TintypeMatmul"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    float* c = allocate(out);
    if (out.size() == 0) return;
    const array &a = inputs[0], &b = inputs[1];
    const float* bias = inputs.size() > 2 ? inputs[2].data<float>() : nullptr;
    dispatch(stream(), [=, a_data = a.data<float>(), b_data = b.data<float>(), a_shape = a.shape(),
                        a_strides = a.strides(), b_shape = b.shape(), b_strides = b.strides()] {
      int rank = static_cast<int>(a_shape.size());
      int m = a_shape[rank - 2], k = a_shape[rank - 1], n = b_shape[rank - 1];
      int64_t batch = 1;
      for (int axis = 0; axis < rank - 2; ++axis) batch *= a_shape[axis];
      fill_rows(c, batch * m, n, bias);
      for (int64_t i = 0; i < batch; ++i) {
        Matrix left{a_data + batch_offset(a_shape, a_strides, i), a_strides[rank - 2], a_strides[rank - 1]};
        Matrix right{b_data + batch_offset(b_shape, b_strides, i), b_strides[rank - 2], b_strides[rank - 1]};
        multiply(m, n, k, left, right, c + i * m * n, n);
      }
    });
  }
};

/** inputs x and weight, row-contiguous, and perhaps a bias of the channels. */
class Conv2d : public CpuPrimitive {
 public:
  Conv2d(mx::Stream stream, const ConvPlan& plan) : CpuPrimitive(stream), plan_(plan) {}
  const char* name() const override { return "TintypeConv2d"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    float* c = allocate(out);
    if (out.size() == 0) return;
    const array &x = inputs[0], &weight = inputs[1];
    const float* bias = inputs.size() > 2 ? inputs[2].data<float>() : nullptr;
    dispatch(stream(), [=, plan = plan_, x_data = x.data<float>(), w_data = weight.data<float>(),
                        x_shape = x.shape(), w_shape = weight.shape(), shape = out.shape()] {
      int64_t area = static_cast<int64_t>(shape[2]) * shape[3],
              image = static_cast<int64_t>(x_shape[2]) * x_shape[3];
      int rows = shape[1] / plan.groups, depth = w_shape[1] * w_shape[2] * w_shape[3];
      for (int64_t i = 0; i < static_cast<int64_t>(shape[0]) * plan.groups; ++i) {
        int64_t group = i % plan.groups;
        float* y = c + i * rows * area;
        for (int r = 0; r < rows; ++r) {
          std::fill(y + r * area, y + (r + 1) * area, bias ? bias[group * rows + r] : 0.0f);
        }
        Patches patches{x_data + i * w_shape[1] * image,
                        x_shape[2],
                        x_shape[3],
                        w_shape[2],
                        w_shape[3],
                        plan.strides[0],
                        plan.strides[1],
                        plan.dilations[0],
                        plan.dilations[1],
                        plan.before[0],
                        plan.before[1],
                        shape[3]};
        multiply(rows, static_cast<int>(area), depth, {w_data + group * rows * depth, depth, 1}, patches, y,
                 area);
      }
    });
  }

 private:
  ConvPlan plan_;
};

using Loop = void (*)(const MicroKernel& kernel, float parameter, int64_t count, const float* x, float* y);

/** One loop over a row-contiguous input. `unit` is how many elements belong together. */
class Map : public CpuPrimitive {
 public:
  Map(mx::Stream stream, Loop loop, float parameter, int64_t unit)
      : CpuPrimitive(stream), loop_(loop), parameter_(parameter), unit_(unit) {}
  const char* name() const override { return "TintypeMap"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    float* y = allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [y, x = inputs[0].data<float>(), count = static_cast<int64_t>(out.size()),
                        loop = loop_, parameter = parameter_, unit = unit_] {
      const MicroKernel& kernel = micro_kernel();
      parallel(count / unit, std::max<int64_t>(1, kGrain / unit), [&](int64_t first, int64_t last) {
        if (unit == 1) return loop(kernel, parameter, last - first, x + first, y + first);
        for (int64_t i = first; i < last; ++i) loop(kernel, parameter, unit, x + i * unit, y + i * unit);
      });
    });
  }

 private:
  Loop loop_;
  float parameter_;
  int64_t unit_;
};

array map(const array& x, Loop loop, float parameter = 0, int64_t unit = 1) {
  auto primitive = std::make_shared<Map>(cpu_stream(), loop, parameter, unit);
  return array(x.shape(), mx::float32, std::move(primitive), {mx::contiguous(x)});
}

}  // namespace

bool is_ours(const array& x) {
  return x.dtype() == mx::float32 && mx::default_device() == mx::Device::cpu;
}

array matmul(const array& a, const array& b, const std::optional<array>& bias) {
  bool ours = is_ours(a) && is_ours(b) && a.ndim() >= 2 && b.ndim() >= 2 && a.shape(-1) == b.shape(-2) &&
              (!bias || (is_ours(*bias) && bias->ndim() == 1 && bias->shape(0) == b.shape(-1)));
  if (!ours) return bias ? mx::addmm(*bias, a, b) : mx::matmul(a, b);
  if (a.ndim() > 2 && b.ndim() == 2) {  // rows of all batches are one matrix
    mx::Shape shape = a.shape();
    shape.back() = b.shape(1);
    return mx::reshape(matmul(mx::reshape(a, {-1, a.shape(-1)}), b, bias), shape);
  }
  mx::Shape a_batch(a.shape().begin(), a.shape().end() - 2), b_batch(b.shape().begin(), b.shape().end() - 2);
  mx::Shape a_shape = mx::broadcast_shapes(a_batch, b_batch), b_shape = a_shape, shape = a_shape;
  for (int axis : {-2, -1}) {
    a_shape.push_back(a.shape(axis));
    b_shape.push_back(b.shape(axis));
  }
  shape.push_back(a.shape(-2));
  shape.push_back(b.shape(-1));
  std::vector<array> inputs = {mx::broadcast_to(a, a_shape), mx::broadcast_to(b, b_shape)};
  if (bias) inputs.push_back(mx::contiguous(*bias));
  return array(std::move(shape), mx::float32, std::make_shared<Matmul>(cpu_stream()), std::move(inputs));
}

array conv2d(const array& x, const array& weight, const std::optional<array>& bias, const ConvPlan& plan) {
  mx::Shape shape = {x.shape(0), weight.shape(0), 0, 0};
  for (int i = 0; i < 2; ++i) {
    int reach = (weight.shape(i + 2) - 1) * plan.dilations[static_cast<size_t>(i)] + 1;
    int length = x.shape(i + 2) + plan.before[static_cast<size_t>(i)] + plan.after[static_cast<size_t>(i)];
    shape[i + 2] = (length - reach) / plan.strides[static_cast<size_t>(i)] + 1;
  }
  std::vector<array> inputs = {mx::contiguous(x), mx::contiguous(weight)};
  if (bias) inputs.push_back(mx::contiguous(*bias));
  return array(std::move(shape), mx::float32, std::make_shared<Conv2d>(cpu_stream(), plan),
               std::move(inputs));
}

array sigmoid(const array& x) {
  if (!is_ours(x)) return mx::sigmoid(x);
  return map(x, [](const MicroKernel& kernel, float, int64_t count, const float* from, float* to) {
    kernel.sigmoid(count, from, to);
  });
}

array exp(const array& x) {
  if (!is_ours(x)) return mx::exp(x);
  return map(x, [](const MicroKernel& kernel, float, int64_t count, const float* from, float* to) {
    kernel.exponential(count, from, to);
  });
}

array sigmoid_linear(const array& x, float scale) {
  if (!is_ours(x)) return mx::multiply(x, mx::sigmoid(mx::multiply(x, array(scale, x.dtype()))));
  return map(
      x,
      [](const MicroKernel& kernel, float parameter, int64_t count, const float* from, float* to) {
        kernel.sigmoid_linear(count, parameter, from, to);
      },
      scale);
}

array softmax(const array& x, int axis) {
  bool last = axis == -1 || axis == static_cast<int>(x.ndim()) - 1;
  if (!is_ours(x) || !last || x.ndim() == 0 || x.shape(-1) == 0)
    return mx::softmax(x, axis, /*precise=*/true);
  return map(
      x,
      [](const MicroKernel& kernel, float, int64_t count, const float* from, float* to) {
        kernel.softmax(count, from, to);
      },
      0, x.shape(-1));
}

}  // namespace tintype::kernels
