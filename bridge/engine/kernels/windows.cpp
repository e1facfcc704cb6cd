// Windows that slide over images channel by channel: pools, and convolutions of one channel a group.
#include "kernels/windows.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kStrip = 1 << 14;       // floats of an image that stay in the cache while they are read
constexpr int64_t kLargest = 1 << 22;     // floats that a thread may hold
constexpr int64_t kWorkOfTask = 1 << 17;  // multiplications

/**
 * A strip of the image, apart by the remainders of row and column by the stride: one element of the window
 * meets neighbours in memory then, whatever the stride. Lines have the same length everywhere, so a whole
 * strip of results is one run, with a few superfluous ones between its rows.
 */
struct Phases {
  int down, across;      // how many remainders a window meets
  int64_t lines, pitch;  // of a remainder

  Phases(const Patches& p, int rows)
      : down(std::min(p.stride_height, reach(p.kernel_height, p.dilation_height))),
        across(std::min(p.stride_width, reach(p.kernel_width, p.dilation_width))),
        lines(rows + (reach(p.kernel_height, p.dilation_height) - 1) / p.stride_height),
        pitch(p.out_width + (reach(p.kernel_width, p.dilation_width) - 1) / p.stride_width) {}

  int64_t size() const { return down * across * lines * pitch; }
  int64_t line(int64_t row, int64_t column, int64_t index) const {
    return ((row * across + column) * lines + index) * pitch;
  }
  static int reach(int kernel, int dilation) { return (kernel - 1) * dilation + 1; }
};

void fill(const Patches& p, const Phases& phases, int first, float outside, float* buffer, float* to) {
  Patches wide = p;
  wide.half = false;
  for (int row = 0; row < phases.down; ++row) {
    for (int64_t index = 0; index < phases.lines; ++index) {
      int64_t y = (first + index) * p.stride_height + row - p.top;
      bool inside = y >= 0 && y < p.height;
      const float* line =
          inside ? read(micro_kernel(), p.image, y * p.width, p.width, p.half, buffer) : nullptr;
      for (int column = 0; column < phases.across; ++column) {
        float* target = to + phases.line(row, column, index);
        if (line)
          copy_pixels(wide, line, column - p.left, static_cast<int>(phases.pitch), outside, target);
        else
          std::fill(target, target + phases.pitch, outside);
      }
    }
  }
}

std::vector<long> places_of(const Patches& p, const Phases& phases) {
  std::vector<long> places;
  for (int i = 0; i < p.kernel_height; ++i) {
    for (int j = 0; j < p.kernel_width; ++j) {
      int y = i * p.dilation_height, x = j * p.dilation_width;
      places.push_back(phases.line(y % p.stride_height, x % p.stride_width, y / p.stride_height) +
                       x / p.stride_width);
    }
  }
  return places;
}

}  // namespace

bool Slide::fits() const {
  const Patches& p = patches;
  if (p.kernel_height < 1 || p.kernel_width < 1) return false;
  int64_t height = Phases::reach(p.kernel_height, p.dilation_height),
          width = int64_t{p.out_width} * p.stride_width + Phases::reach(p.kernel_width, p.dilation_width);
  return (height + p.stride_height) * width <= kLargest && p.width <= kLargest;
}

int Slide::rows() const {
  Phases one(patches, 1), two(patches, 2);
  int64_t more = two.size() - one.size(), rows = 1 + (kStrip - one.size()) / std::max<int64_t>(1, more);
  return static_cast<int>(std::clamp<int64_t>(rows, 1, out_height));
}

void slide(const Slide& s, int first, int rows, const Product& c) {
  static thread_local Scratch scratch;
  const MicroKernel& kernel = micro_kernel();
  const Patches& p = s.patches;
  Phases phases(p, rows);
  int64_t count = (rows - 1) * phases.pitch + p.out_width;
  float* strip = scratch.floats(static_cast<size_t>(phases.size() + count + p.width));
  float *results = strip + phases.size(), *line = results + count;
  fill(p, phases, first, s.weights ? 0 : -std::numeric_limits<float>::infinity(), line, strip);
  std::vector<long> places = places_of(p, phases);
  auto taps = static_cast<int>(places.size());
  if (s.weights)
    kernel.slide_sum(count, taps, places.data(), s.weights, s.bias, strip, results);
  else
    kernel.slide_max(count, taps, places.data(), strip, results);
  finish({first, rows, 0, p.out_width}, results, phases.pitch, c);
  scratch.trim();
}

void slide_all(int64_t images, const std::function<Slide(int64_t)>& slide_of, const Product& c) {
  Slide first = slide_of(0);
  int rows = first.rows();
  int64_t strips = (first.out_height + rows - 1) / rows;
  int64_t area = int64_t{first.out_height} * first.patches.out_width;
  int64_t work =
      rows * int64_t{first.patches.out_width} * first.patches.kernel_height * first.patches.kernel_width;
  parallel(images * strips, std::max<int64_t>(1, kWorkOfTask / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t image = i / strips;
      int row = static_cast<int>(i % strips) * rows;
      Product plane = c;
      plane.data = element(c.data, image * area, c.half);
      plane.row = first.patches.out_width;
      plane.place = image * area;
      slide(slide_of(image), row, std::min(rows, first.out_height - row), plane);
    }
  });
}

namespace {

/** input x [n, c, h, w], row-contiguous. */
class Pool2d : public CpuPrimitive {
 public:
  Pool2d(mx::Stream stream, PoolKind kind, const PoolPlan& plan)
      : CpuPrimitive(stream), kind_(kind), plan_(plan) {}
  const char* name() const override { return "TintypePool2d"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    if (out.size() == 0) return;
    const array& in = inputs[0];
    Slide slide = slide_of(plan_, in.shape(), is_half(in));
    dispatch(stream(), [y, slide, kind = kind_, x = static_cast<const void*>(in.data<char>()),
                        half = is_half(out), images = int64_t{out.shape(0)} * out.shape(1)] {
      const Patches& p = slide.patches;
      std::vector<float> ones(kind == PoolKind::kSum ? p.kernel_height * p.kernel_width : 0, 1.0f);
      auto image = [&](int64_t i) {
        Slide one = slide;
        one.patches.image = element(x, i * p.height * p.width, p.half);
        if (kind == PoolKind::kSum) one.weights = ones.data();
        return one;
      };
      slide_all(images, image, {.data = y, .row = p.out_width, .half = half});
    });
  }

  static Slide slide_of(const PoolPlan& plan, const mx::Shape& shape, bool half) {
    return {{nullptr, shape[2], shape[3], plan.kernel[0], plan.kernel[1], plan.strides[0], plan.strides[1], 1,
             1, plan.before[0], plan.before[1], plan.lengths[1], half},
            plan.lengths[0]};
  }

 private:
  PoolKind kind_;
  PoolPlan plan_;
};

constexpr int64_t kMostTaps = 49;  // beyond, axis by axis is faster

/** input x [outer, n, inner], row-contiguous float32. */
class PoolAxis : public CpuPrimitive {
 public:
  PoolAxis(mx::Stream stream, PoolKind kind, const AxisPlan& plan)
      : CpuPrimitive(stream), kind_(kind), plan_(plan) {}
  const char* name() const override { return "TintypePoolAxis"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* y = static_cast<float*>(allocate(out));
    if (out.size() == 0) return;
    const array& in = inputs[0];
    Job job{kind_, plan_, in.data<float>(), y, in.shape(plan_.axis), 1};
    for (int k = plan_.axis + 1; k < static_cast<int>(in.ndim()); ++k) job.inner *= in.shape(k);
    dispatch(stream(), [job, rows = static_cast<int64_t>(out.size()) / job.inner] {
      // So narrow that what neighbouring windows share stays in the cache.
      int64_t width = std::min(job.inner, std::max<int64_t>(64, kStrip / job.plan.kernel));
      int64_t strips = (job.inner + width - 1) / width, length = job.plan.length;
      int64_t lines = std::max<int64_t>(1, kWorkOfTask / (width * job.plan.kernel));
      int64_t parts = (length + lines - 1) / lines;
      std::vector<float> ones(static_cast<size_t>(job.kind == PoolKind::kSum ? job.plan.kernel : 0), 1.0f);
      parallel_tasks(rows / length * strips * parts, [&](int64_t task) {
        int64_t column = task / parts % strips * width, first = task % parts * lines;
        for (int64_t line = first; line < std::min(length, first + lines); ++line)
          job.line(task / (parts * strips), line, column, std::min(width, job.inner - column), ones.data());
      });
    });
  }

 private:
  struct Job {
    PoolKind kind;
    AxisPlan plan;
    const float* x;
    float* y;
    int64_t size, inner;

    // Columns [column, column + count) of one line of results; what lies outside the axis is left out.
    void line(int64_t outer, int64_t index, int64_t column, int64_t count, const float* ones) const {
      static thread_local std::vector<long> places;
      places.clear();
      int64_t start = index * plan.stride - plan.before, end = std::min<int64_t>(size, start + plan.kernel);
      for (int64_t i = std::max<int64_t>(0, start); i < end; ++i) places.push_back(i * inner);
      const float* from = x + outer * size * inner + column;
      float* to = y + (outer * plan.length + index) * inner + column;
      auto taps = static_cast<int>(places.size());
      const MicroKernel& kernel = micro_kernel();
      if (kind == PoolKind::kSum)
        kernel.slide_sum(count, taps, places.data(), ones, 0, from, to);
      else
        kernel.slide_max(count, taps, places.data(), from, to);
    }
  };

  PoolKind kind_;
  AxisPlan plan_;
};

}  // namespace

array pool_axis(const array& x, PoolKind kind, const AxisPlan& plan) {
  mx::Shape shape = x.shape();
  shape[plan.axis] = plan.length;
  return array(std::move(shape), mx::float32, std::make_shared<PoolAxis>(cpu_stream(), kind, plan),
               {dense(x)});
}

bool can_pool(const array& x, const PoolPlan& plan) {
  bool few =
      std::min(plan.kernel[0], plan.kernel[1]) == 1 || int64_t{plan.kernel[0]} * plan.kernel[1] <= kMostTaps;
  return is_ours(x) && x.size() != 0 && few && Pool2d::slide_of(plan, x.shape(), false).fits();
}

array pool2d(const array& x, PoolKind kind, const PoolPlan& plan, mx::Dtype dtype) {
  return array({x.shape(0), x.shape(1), plan.lengths[0], plan.lengths[1]}, dtype,
               std::make_shared<Pool2d>(cpu_stream(), kind, plan), {dense(x)});
}

}  // namespace tintype::kernels
