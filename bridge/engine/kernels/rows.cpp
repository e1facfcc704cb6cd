// Row by row: softmax, sums.
#include <algorithm>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

int64_t length_of(const mx::Shape& shape, size_t first) {
  int64_t length = 1;
  for (size_t axis = first; axis < shape.size(); ++axis) length *= shape[axis];
  return length;
}

Scratch& scratch() {
  static thread_local Scratch memory;
  return memory;
}

/** Rows of `unit` elements of a contiguous input, each turned into a row by `kernel.softmax`. */
class Softmax : public CpuPrimitive {
 public:
  Softmax(mx::Stream stream, int axis) : CpuPrimitive(stream), axis_(axis) {}
  const char* name() const override { return "TintypeSoftmax"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    Job job{inputs[0].data<char>(), allocate(out),    is_half(inputs[0]),
            is_half(out),           out.shape(axis_), length_of(out.shape(), static_cast<size_t>(axis_) + 1)};
    if (out.size() == 0) return;
    int64_t outer = static_cast<int64_t>(out.size()) / (job.length * job.inner);
    dispatch(stream(), [job, outer] { job.inner == 1 ? along_rows(job, outer) : along_columns(job, outer); });
  }

 private:
  struct Job {
    const void* x;
    void* y;
    bool x_half, y_half;
    int64_t length, inner;
  };

  static void along_rows(const Job& job, int64_t rows) {
    const MicroKernel& kernel = micro_kernel();
    parallel(rows, std::max<int64_t>(1, kGrain / job.length), [&](int64_t first, int64_t last) {
      float* buffer = scratch().floats(static_cast<size_t>(job.length));
      for (int64_t i = first * job.length; i < last * job.length; i += job.length) {
        float* to = target(job.y, i, job.y_half, buffer);
        kernel.softmax(job.length, read(kernel, job.x, i, job.length, job.x_half, buffer), to);
        write(kernel, to, job.y, i, job.length, job.y_half);
      }
      scratch().trim();
    });
  }

  // Strips of the kernel's columns, copied so that they lie together.
  static void along_columns(const Job& job, int64_t outer) {
    const MicroKernel& kernel = micro_kernel();
    int64_t width = kernel.columns, strips = (job.inner + width - 1) / width;
    parallel_tasks(outer * strips, [&](int64_t task) {
      int64_t column = task % strips * width, count = std::min(width, job.inner - column);
      int64_t start = task / strips * job.length * job.inner + column;
      float* buffer = scratch().floats(static_cast<size_t>(job.length * width));
      std::fill(buffer, buffer + job.length * width, 0.0f);
      for (int64_t i = 0; i < job.length; ++i) {
        float* line = buffer + i * width;
        const float* from = read(kernel, job.x, start + i * job.inner, count, job.x_half, line);
        if (from != line) std::copy(from, from + count, line);
      }
      kernel.softmax_rows(job.length, buffer);
      for (int64_t i = 0; i < job.length; ++i) {
        int64_t place = start + i * job.inner;
        write(kernel, buffer + i * width, job.y, place, count, job.y_half);
        if (!job.y_half) std::copy_n(buffer + i * width, count, static_cast<float*>(job.y) + place);
      }
      scratch().trim();
    });
  }

  int axis_;
};

class SumLast : public CpuPrimitive {
 public:
  SumLast(mx::Stream stream, bool mean) : CpuPrimitive(stream), mean_(mean) {}
  const char* name() const override { return "TintypeSumLast"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    if (out.size() == 0) return;
    const array& in = inputs[0];
    dispatch(
        stream(), [y, x = static_cast<const void*>(in.data<char>()), rows = static_cast<int64_t>(out.size()),
                   length = static_cast<int64_t>(in.size() / out.size()), x_half = is_half(in),
                   y_half = is_half(out), mean = mean_] {
          const MicroKernel& kernel = micro_kernel();
          parallel(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, length)),
                   [&](int64_t first, int64_t last) {
                     float* buffer = scratch().floats(static_cast<size_t>(length));
                     for (int64_t i = first; i < last; ++i) {
                       float total = kernel.sum(length, read(kernel, x, i * length, length, x_half, buffer)),
                             result;
                       if (mean) total /= static_cast<float>(length);
                       *target(y, i, y_half, &result) = total;
                       write(kernel, &total, y, i, 1, y_half);
                     }
                     scratch().trim();
                   });
        });
  }

 private:
  bool mean_;
};

}  // namespace

array softmax(const array& x, int axis, mx::Dtype dtype) {
  if (axis < 0) axis += static_cast<int>(x.ndim());
  return array(x.shape(), dtype, std::make_shared<Softmax>(cpu_stream(), axis), {dense(x)});
}

array sum_last(const array& x, int axes, bool mean, mx::Dtype dtype) {
  mx::Shape shape = x.shape();
  for (int i = 1; i <= axes; ++i) shape[shape.size() - static_cast<size_t>(i)] = 1;
  return array(std::move(shape), dtype, std::make_shared<SumLast>(cpu_stream(), mean), {dense(x)});
}

}  // namespace tintype::kernels
