#include "kernels/scatter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/cpu_primitive.h"
#include "kernels/lookup.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"
#include "kernels/spread.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kLook = 1 << 14;  // elements between looks whether they are still wanted

int64_t product(const mx::Shape& shape, int first, int last) {
  int64_t product = 1;
  for (int axis = first; axis < last; ++axis) product *= shape[axis];
  return product;
}

// Sums and products of integers wrap around.
int32_t wrapped(int64_t value) {
  return static_cast<int32_t>(static_cast<uint32_t>(value));
}

template <Scatter kMode>
float met(float x, float update) {
  if constexpr (kMode == Scatter::kAdd) return x + update;
  if constexpr (kMode == Scatter::kSub) return x - update;
  if constexpr (kMode == Scatter::kMul) return x * update;
  if constexpr (kMode == Scatter::kDiv) return x / update;
  if constexpr (kMode == Scatter::kMax) return std::isnan(x) || x > update ? x : update;
  if constexpr (kMode == Scatter::kMin) return std::isnan(x) || x < update ? x : update;
  return update;
}

template <Scatter kMode>
int32_t met(int32_t x, int32_t update) {
  int64_t wide = x;
  if constexpr (kMode == Scatter::kAdd) return wrapped(wide + update);
  if constexpr (kMode == Scatter::kSub) return wrapped(wide - update);
  if constexpr (kMode == Scatter::kMul) return wrapped(wide * update);
  if constexpr (kMode == Scatter::kDiv) return update ? wrapped(wide / update) : 0;
  if constexpr (kMode == Scatter::kMax) return std::max(x, update);
  if constexpr (kMode == Scatter::kMin) return std::min(x, update);
  return update;
}

/** Elements [low, high) of the result: updates meet them in order, whoever else works on the rest. */
struct Part {
  int64_t low, high;
};

struct Job {
  const void* updates;
  const int32_t* indices;
  void* result;
  int64_t all;  // rows of updates
};

struct RowJob : Job {
  Lookup lookup;
  int64_t width;

  template <typename T, Scatter kMode>
  void work(const Part& part) const {
    auto* y = static_cast<T*>(result);
    auto* from = static_cast<const T*>(updates);
    int64_t step = std::max<int64_t>(1, kLook / width);
    for (int64_t first = 0; first < all && !tasks_are_left_out(); first += step) {
      lookup.each(indices, first, std::min(all, first + step), [&](int64_t row, int64_t offset) {
        if (offset < part.low || offset >= part.high) return;
        for (int64_t i = 0; i < width; ++i) y[offset + i] = met<kMode>(y[offset + i], from[row * width + i]);
      });
    }
  }
};

struct AlongJob : Job {
  mx::Shape shape;  // of the updates
  std::vector<int64_t> strides;
  int axis;
  int64_t length;

  template <typename T, Scatter kMode>
  void work(const Part& part) const {
    auto* y = static_cast<T*>(result);
    int end = static_cast<int>(shape.size()) - 1;
    int64_t width = shape[end], stride = strides[static_cast<size_t>(axis)], forwards = axis == end ? 0 : 1;
    int64_t seen = 0;
    for (int64_t row = 0; row < all; ++row, seen += width) {
      if (seen >= kLook) {
        if (tasks_are_left_out()) return;
        seen = 0;
      }
      int64_t rest = row, base = 0;
      for (int k = end - 1; k >= 0; rest /= shape[k--]) {
        if (k != axis) base += rest % shape[k] * strides[static_cast<size_t>(k)];
      }
      const int32_t* index = indices + row * width;
      auto* from = static_cast<const T*>(updates) + row * width;
      for (int64_t j = 0; j < width; ++j) {
        int64_t offset = base + place_of(index[j], length) * stride + j * forwards;
        if (offset >= part.low && offset < part.high) y[offset] = met<kMode>(y[offset], from[j]);
      }
    }
  }
};

template <typename T, typename Work>
void by_mode(Scatter mode, const Work& job, const Part& part) {
  switch (mode) {
    case Scatter::kUpdate:
      return job.template work<T, Scatter::kUpdate>(part);
    case Scatter::kAdd:
      return job.template work<T, Scatter::kAdd>(part);
    case Scatter::kSub:
      return job.template work<T, Scatter::kSub>(part);
    case Scatter::kMul:
      return job.template work<T, Scatter::kMul>(part);
    case Scatter::kDiv:
      return job.template work<T, Scatter::kDiv>(part);
    case Scatter::kMax:
      return job.template work<T, Scatter::kMax>(part);
    default:
      return job.template work<T, Scatter::kMin>(part);
  }
}

/** inputs data, indices and updates, row-contiguous, float32 or int32. */
template <typename Work>
class ScatterOf : public CpuPrimitive {
 public:
  ScatterOf(mx::Stream stream, Scatter mode, Work job)
      : CpuPrimitive(stream), mode_(mode), job_(std::move(job)) {}
  const char* name() const override { return "TintypeScatter"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array& data = inputs[0];
    bool taken_over = take_over(data, out);
    Work job = job_;
    job.result = taken_over ? static_cast<void*>(out.data<char>()) : allocate(out);
    if (out.size() == 0) return;
    job.indices = inputs[1].data<int32_t>(), job.updates = inputs[2].data<char>();
    dispatch(stream(),
             [job, mode = mode_, whole = out.dtype() == mx::int32, size = static_cast<int64_t>(out.size()),
              copied = taken_over ? nullptr : data.data<char>()] {
               if (copied) {
                 parallel(size, kGrain * 8, [&](int64_t first, int64_t last) {
                   std::memcpy(static_cast<char*>(job.result) + first * 4, copied + first * 4,
                               static_cast<size_t>(last - first) * 4);
                 });
               }
               // Every part reads all indices: more parts than threads would be waste.
               int64_t parts = std::min<int64_t>(threads(), (size + kLook - 1) / kLook),
                       length = (size + parts - 1) / parts;
               parallel_tasks(parts, [&](int64_t i) {
                 Part part{i * length, std::min(size, (i + 1) * length)};
                 whole ? by_mode<int32_t>(mode, job, part) : by_mode<float>(mode, job, part);
               });
             });
  }

 private:
  Scatter mode_;
  Work job_;
};

template <typename Work>
array scattered(Scatter mode, const array& data, const array& indices, const array& updates, Work job) {
  if (data.dtype() == mx::float16) {  // sums are float32
    array wide =
        scattered(mode, cast(data, mx::float32), indices, cast(updates, mx::float32), std::move(job));
    return cast(wide, mx::float16);
  }
  return array(data.shape(), data.dtype(),
               std::make_shared<ScatterOf<Work>>(cpu_stream(), mode, std::move(job)),
               {dense(data), dense(indices), dense(updates)});
}

array scattered_rows(Scatter mode, const array& data, const array& indices, const array& updates,
                     Lookup lookup, int64_t width) {
  RowJob job;
  job.lookup = std::move(lookup);
  job.width = std::max<int64_t>(1, width);
  job.all = static_cast<int64_t>(updates.size()) / job.width;
  return scattered(mode, data, indices, updates, std::move(job));
}

}  // namespace

bool can_scatter(const array& data) {
  return (is_ours(data) || (data.dtype() == mx::int32 && mx::default_device() == mx::Device::cpu)) &&
         data.size() > 0;
}

array scatter(Scatter mode, const array& data, const array& indices, const array& updates, int axis) {
  int64_t width = product(data.shape(), axis + 1, static_cast<int>(data.ndim()));
  Lookup lookup{{data.shape(axis)}, {width}};
  lookup.group = std::max<int64_t>(1, static_cast<int64_t>(indices.size()));
  lookup.repeats = std::max<int64_t>(1, product(data.shape(), 0, axis));
  lookup.base_stride = data.shape(axis) * width;
  return scattered_rows(mode, data, indices, updates, std::move(lookup), width);
}

array scatter_nd(Scatter mode, const array& data, const array& indices, const array& updates) {
  int rank = static_cast<int>(data.ndim()), count = indices.shape(-1);
  Lookup lookup;
  for (int axis = 0; axis < count; ++axis) {
    lookup.lengths.push_back(data.shape(axis));
    lookup.strides.push_back(product(data.shape(), axis + 1, rank));
  }
  lookup.group = std::max<int64_t>(1, static_cast<int64_t>(indices.size()) / count);
  return scattered_rows(mode, data, indices, updates, std::move(lookup), product(data.shape(), count, rank));
}

array scatter_along(Scatter mode, const array& data, const array& indices, const array& updates, int axis) {
  AlongJob job;
  job.shape = updates.shape(), job.axis = axis, job.length = data.shape(axis);
  for (int k = 0; k < static_cast<int>(data.ndim()); ++k)
    job.strides.push_back(product(data.shape(), k + 1, static_cast<int>(data.ndim())));
  job.all = updates.size() ? static_cast<int64_t>(updates.size()) / updates.shape(-1) : 0;
  return scattered(mode, data, indices, updates, std::move(job));
}

}  // namespace tintype::kernels
