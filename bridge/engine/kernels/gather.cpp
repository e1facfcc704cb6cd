#include "kernels/gather.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu_primitive.h"
#include "kernels/lookup.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

int64_t product(const mx::Shape& shape, int first, int last) {
  int64_t product = 1;
  for (int axis = first; axis < last; ++axis) product *= shape[axis];
  return product;
}

/** One gathering: `width` elements a row. */
struct Rows {
  const char* from;
  const int32_t* indices;
  char* to;
  Lookup lookup;
  int64_t width;

  template <typename T>
  void copy(int64_t first, int64_t last) const {
    auto* x = reinterpret_cast<const T*>(from);
    auto* y = reinterpret_cast<T*>(to);
    if (width == 1) {
      lookup.each(indices, first, last, [&](int64_t row, int64_t offset) { y[row] = x[offset]; });
      return;
    }
    auto bytes = static_cast<size_t>(width) * sizeof(T);
    lookup.each(indices, first, last,
                [&](int64_t row, int64_t offset) { std::memcpy(y + row * width, x + offset, bytes); });
  }
};

/** inputs x and indices, row-contiguous. */
class GatherRows : public CpuPrimitive {
 public:
  GatherRows(mx::Stream stream, Lookup lookup, int64_t width)
      : CpuPrimitive(stream), lookup_(std::move(lookup)), width_(width) {}
  const char* name() const override { return "TintypeGatherRows"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* y = static_cast<char*>(allocate(out));
    if (out.size() == 0) return;
    dispatch(stream(), [job = Rows{inputs[0].data<char>(), inputs[1].data<int32_t>(), y, lookup_, width_},
                        size = out.itemsize(), rows = static_cast<int64_t>(out.size()) / width_] {
      parallel(rows, std::max<int64_t>(1, kGrain / job.width), [&](int64_t first, int64_t last) {
        size == 1   ? job.copy<uint8_t>(first, last)
        : size == 2 ? job.copy<uint16_t>(first, last)
        : size == 4 ? job.copy<uint32_t>(first, last)
                    : job.copy<uint64_t>(first, last);
      });
    });
  }

 private:
  Lookup lookup_;
  int64_t width_;
};

array rows_of(const array& x, const array& indices, Lookup lookup, int64_t width, mx::Shape shape) {
  return array(std::move(shape), x.dtype(),
               std::make_shared<GatherRows>(cpu_stream(), std::move(lookup), std::max<int64_t>(1, width)),
               {dense(x), dense(indices)});
}

/** One gathering along an axis; a row is the last axis of the result. */
struct Along {
  const char* from;
  const int32_t* indices;
  char* to;
  mx::Shape shape;  // of the result
  mx::Strides index_strides;
  std::vector<int64_t> strides;  // of x
  int axis;
  int64_t length;

  template <typename T>
  void copy(int64_t first, int64_t last) const {
    auto* x = reinterpret_cast<const T*>(from);
    auto* y = reinterpret_cast<T*>(to);
    int end = static_cast<int>(shape.size()) - 1;
    int64_t width = shape[end], step = index_strides[end], stride = strides[static_cast<size_t>(axis)];
    int64_t forwards = axis == end ? 0 : 1;
    for (int64_t row = first; row < last; ++row) {
      int64_t rest = row, base = 0, place = 0;
      for (int k = end - 1; k >= 0; --k) {
        int64_t at = rest % shape[k];
        rest /= shape[k];
        place += at * index_strides[k];
        if (k != axis) base += at * strides[static_cast<size_t>(k)];
      }
      const int32_t* index = indices + place;
      T* line = y + row * width;
      if (step == 0 && forwards) {
        std::copy_n(x + base + place_of(*index, length) * stride, width, line);
        continue;
      }
      for (int64_t j = 0; j < width; ++j)
        line[j] = x[base + place_of(index[j * step], length) * stride + j * forwards];
    }
  }
};

/** inputs x, row-contiguous, and indices of the result's shape with any strides. */
class GatherAlong : public CpuPrimitive {
 public:
  GatherAlong(mx::Stream stream, int axis) : CpuPrimitive(stream), axis_(axis) {}
  const char* name() const override { return "TintypeGatherAlong"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* y = static_cast<char*>(allocate(out));
    if (out.size() == 0) return;
    const array &x = inputs[0], &indices = inputs[1];
    Along job{x.data<char>(), indices.data<int32_t>(), y, out.shape(), indices.strides(), {},
              axis_,          x.shape(axis_)};
    for (int k = 0; k < static_cast<int>(x.ndim()); ++k)
      job.strides.push_back(product(x.shape(), k + 1, static_cast<int>(x.ndim())));
    dispatch(stream(), [job, size = out.itemsize(), rows = static_cast<int64_t>(out.size()) / out.shape(-1)] {
      parallel(rows, std::max<int64_t>(1, kGrain / job.shape.back()), [&](int64_t first, int64_t last) {
        size == 1   ? job.copy<uint8_t>(first, last)
        : size == 2 ? job.copy<uint16_t>(first, last)
        : size == 4 ? job.copy<uint32_t>(first, last)
                    : job.copy<uint64_t>(first, last);
      });
    });
  }

 private:
  int axis_;
};

}  // namespace

bool can_gather(const array& x) {
  return mx::default_device() == mx::Device::cpu && x.itemsize() <= 8;
}

array gather(const array& x, const array& indices, int axis, int batch_dims) {
  int rank = static_cast<int>(x.ndim());
  mx::Shape shape(x.shape().begin(), x.shape().begin() + axis);
  shape.insert(shape.end(), indices.shape().begin() + batch_dims, indices.shape().end());
  shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
  int64_t width = product(x.shape(), axis + 1, rank);
  Lookup lookup{{x.shape(axis)}, {width}};
  lookup.group = std::max<int64_t>(1, product(indices.shape(), batch_dims, static_cast<int>(indices.ndim())));
  lookup.repeats = std::max<int64_t>(1, product(x.shape(), batch_dims, axis));
  lookup.base_stride = x.shape(axis) * width;
  return rows_of(x, indices, std::move(lookup), width, std::move(shape));
}

array gather_nd(const array& x, const array& indices, int batch_dims) {
  int rank = static_cast<int>(x.ndim()), count = indices.shape(-1),
      last = static_cast<int>(indices.ndim()) - 1;
  mx::Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), x.shape().begin() + batch_dims + count, x.shape().end());
  Lookup lookup;
  for (int axis = batch_dims; axis < batch_dims + count; ++axis) {
    lookup.lengths.push_back(x.shape(axis));
    lookup.strides.push_back(product(x.shape(), axis + 1, rank));
  }
  lookup.group = std::max<int64_t>(1, product(indices.shape(), batch_dims, last));
  lookup.base_stride = product(x.shape(), batch_dims, rank);
  return rows_of(x, indices, std::move(lookup), product(x.shape(), batch_dims + count, rank),
                 std::move(shape));
}

array gather_along(const array& x, const array& indices, int axis) {
  mx::Shape shape = x.shape();
  shape[axis] = indices.shape(axis);
  return array(shape, x.dtype(), std::make_shared<GatherAlong>(cpu_stream(), axis),
               {dense(x), mx::broadcast_to(indices, shape)});
}

}  // namespace tintype::kernels
