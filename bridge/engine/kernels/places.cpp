// What is read at given places: slices by index, places between elements, pixels of images.
#include "kernels/places.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu_primitive.h"
#include "kernels/gather.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

/** x as [outer, length, inner] around an axis. */
struct Split {
  int64_t outer = 1, length, inner = 1;

  Split(const array& x, int axis) : length(x.shape(axis)) {
    for (int i = 0; i < axis; ++i) outer *= x.shape(i);
    for (int i = axis + 1; i < static_cast<int>(x.ndim()); ++i) inner *= x.shape(i);
  }
};

/** input x, row-contiguous. */
class Interpolate : public CpuPrimitive {
 public:
  Interpolate(mx::Stream stream, int axis, Neighbours places)
      : CpuPrimitive(stream), axis_(axis), places_(std::make_shared<Neighbours>(std::move(places))) {}
  const char* name() const override { return "TintypeInterpolate"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    if (out.size() == 0) return;
    const array& in = inputs[0];
    dispatch(stream(), [job = Job{in.data<char>(), y, is_half(in), is_half(out), Split(in, axis_), places_}] {
      auto count = static_cast<int64_t>(job.places->low.size());
      bool along = job.split.inner == 1;
      int64_t rows = along ? job.split.outer : job.split.outer * count,
              width = along ? count : job.split.inner;
      parallel(rows, std::max<int64_t>(1, kGrain / width), [&](int64_t first, int64_t last) {
        static thread_local Scratch scratch;
        float* buffer = scratch.floats(static_cast<size_t>(3 * std::max(width, job.split.length)));
        for (int64_t row = first; row < last; ++row) along ? line(job, row, buffer) : lines(job, row, buffer);
        scratch.trim();
      });
    });
  }

 private:
  struct Job {
    const void* x;
    void* y;
    bool x_half, y_half;
    Split split;
    std::shared_ptr<const Neighbours> places;
  };

  // low + (high - low) · share, each step rounded; the result in `low` or in y.
  static void mix(const Job& job, const float* low, const float* high, const float* share, int share_step,
                  float* difference, float* result, int64_t place, int64_t count) {
    const MicroKernel& kernel = micro_kernel();
    kernel.binary(Binary::kSub, count, high, 1, low, 1, difference);
    kernel.binary(Binary::kMul, count, difference, 1, share, share_step, difference);
    float* to = target(job.y, place, job.y_half, result);
    kernel.binary(Binary::kAdd, count, low, 1, difference, 1, to);
    write(kernel, to, job.y, place, count, job.y_half);
  }

  // The innermost axis: neighbours are picked element by element.
  static void line(const Job& job, int64_t row, float* buffer) {
    const Neighbours& places = *job.places;
    auto count = static_cast<int64_t>(places.low.size());
    float *low = buffer, *high = low + std::max(count, job.split.length),
          *wide = high + std::max(count, job.split.length);
    const float* x = read(micro_kernel(), job.x, row * job.split.length, job.split.length, job.x_half, wide);
    for (int64_t i = 0; i < count; ++i) low[i] = x[places.low[static_cast<size_t>(i)]];
    for (int64_t i = 0; i < count; ++i) high[i] = x[places.high[static_cast<size_t>(i)]];
    mix(job, low, high, places.share.data(), 1, high, low, row * count, count);
  }

  // Another axis: whole lines meet.
  static void lines(const Job& job, int64_t row, float* buffer) {
    const Neighbours& places = *job.places;
    auto count = static_cast<int64_t>(places.low.size()), inner = job.split.inner;
    auto i = static_cast<size_t>(row % count);
    int64_t start = row / count * job.split.length;
    float *first = buffer, *second = first + inner, *difference = second + inner;
    const MicroKernel& kernel = micro_kernel();
    const float* low = read(kernel, job.x, (start + places.low[i]) * inner, inner, job.x_half, first);
    const float* high = read(kernel, job.x, (start + places.high[i]) * inner, inner, job.x_half, second);
    mix(job, low, high, &places.share[i], 0, difference, first, row * inner, inner);
  }

  int axis_;
  std::shared_ptr<const Neighbours> places_;
};

constexpr int64_t kPlaces = 256;  // of a task, whose geometry serves all channels

/** Where a few places lie in a plane: four neighbours (-1: outside) and the shares of the later ones. */
struct Geometry {
  int32_t corners[4][kPlaces];
  float down[kPlaces], right[kPlaces];
  bool nowhere[kPlaces];
};

/** inputs images, image, y and x, row-contiguous. */
class Sample : public CpuPrimitive {
 public:
  Sample(mx::Stream stream, const SamplePlan& plan) : CpuPrimitive(stream), plan_(plan) {}
  const char* name() const override { return "TintypeSample"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* result = static_cast<float*>(allocate(out));
    if (out.size() == 0) return;
    const array& images = inputs[0];
    Job job{plan_,
            images.data<float>(),
            inputs[1].data<int32_t>(),
            inputs[2].data<float>(),
            inputs[3].data<float>(),
            result,
            images.shape(1),
            images.shape(2),
            images.shape(3)};
    int64_t leads = 1;
    for (int i = 0; i < plan_.leading; ++i) leads *= inputs[1].shape(i);
    job.rest = static_cast<int64_t>(inputs[1].size()) / leads;
    dispatch(stream(), [job, leads] {
      int64_t pieces = (job.rest + kPlaces - 1) / kPlaces;
      parallel_tasks(leads * pieces,
                     [&](int64_t task) { work(job, task / pieces, task % pieces * kPlaces); });
    });
  }

 private:
  struct Job {
    SamplePlan plan;
    const float* images;
    const int32_t* image;
    const float *y, *x;
    float* result;
    int channels, height, width;
    int64_t rest = 0;
  };

  // Far outside is as good as just outside, and what is no number is outside.
  static float bounded(float place, int length) {
    return std::isnan(place) ? -2.0f : std::clamp(place, -2.0f, static_cast<float>(length + 1));
  }

  static int32_t corner(const Job& job, float row, float column) {
    auto last_row = static_cast<float>(job.height - 1), last_column = static_cast<float>(job.width - 1);
    bool inside = row >= 0 && row <= last_row && column >= 0 && column <= last_column;
    if (!inside && job.plan.outside == Outside::kConstant) return -1;
    auto r = static_cast<int32_t>(std::clamp(row, 0.0f, last_row)),
         c = static_cast<int32_t>(std::clamp(column, 0.0f, last_column));
    return r * job.width + c;
  }

  static void locate(const Job& job, int64_t first, int64_t count, Geometry& g) {
    for (int64_t i = 0; i < count; ++i) {
      float given_y = job.y[first + i], given_x = job.x[first + i];
      float y = bounded(given_y, job.height), x = bounded(given_x, job.width);
      g.nowhere[i] = job.plan.outside == Outside::kNowhere && (std::isnan(given_y) || std::isnan(given_x));
      float top = job.plan.nearest ? std::nearbyint(y) : std::floor(y),
            left = job.plan.nearest ? std::nearbyint(x) : std::floor(x);
      g.corners[0][i] = corner(job, top, left);
      g.down[i] = y - top, g.right[i] = x - left;
      if (job.plan.nearest) continue;
      g.corners[1][i] = corner(job, top, left + 1);
      g.corners[2][i] = corner(job, top + 1, left);
      g.corners[3][i] = corner(job, top + 1, left + 1);
    }
  }

  static float mixed(float a, float b, float share) { return a + (b - a) * share; }

  static float value_at(const Job& job, const Geometry& g, const float* plane, int64_t i) {
    auto pixel = [&](int k) { return g.corners[k][i] < 0 ? job.plan.value : plane[g.corners[k][i]]; };
    if (g.nowhere[i]) return job.plan.value;
    if (job.plan.nearest) return pixel(0);
    return mixed(mixed(pixel(0), pixel(1), g.right[i]), mixed(pixel(2), pixel(3), g.right[i]), g.down[i]);
  }

  static void work(const Job& job, int64_t lead, int64_t start) {
    Geometry g;
    int64_t count = std::min(kPlaces, job.rest - start), area = int64_t{job.height} * job.width;
    locate(job, lead * job.rest + start, count, g);
    const int32_t* image = job.image + lead * job.rest + start;
    for (int64_t channel = 0; channel < job.channels; ++channel) {
      float* to = job.result + (lead * job.channels + channel) * job.rest + start;
      for (int64_t i = 0; i < count; ++i)
        to[i] = value_at(job, g, job.images + (image[i] * job.channels + channel) * area, i);
    }
  }

  SamplePlan plan_;
};

}  // namespace

array take(const array& x, const array& indices, int axis) {
  bool ours =
      can_gather(x) && indices.dtype() == mx::int32 && x.size() > 0 && indices.size() > 0 && x.ndim() > 0;
  if (!ours) return mx::take(x, indices, axis);
  return gather(x, indices, axis, 0);
}

array interpolate(const array& x, int axis, Neighbours places, mx::Dtype dtype) {
  mx::Shape shape = x.shape();
  shape[axis] = static_cast<int>(places.low.size());
  return array(std::move(shape), dtype, std::make_shared<Interpolate>(cpu_stream(), axis, std::move(places)),
               {dense(x)});
}

array sample(const array& images, const array& image, const array& y, const array& x,
             const SamplePlan& plan) {
  mx::Shape shape = image.shape();
  shape.insert(shape.begin() + plan.leading, images.shape(1));
  return array(std::move(shape), mx::float32, std::make_shared<Sample>(cpu_stream(), plan),
               {dense(images), dense(image), dense(y), dense(x)});
}

}  // namespace tintype::kernels
