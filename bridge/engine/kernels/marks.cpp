#include "kernels/marks.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread
constexpr int64_t kPiece = 1 << 16;  // flags

/** input x, row-contiguous, of two or more axes. */
class BandPart : public CpuPrimitive {
 public:
  BandPart(mx::Stream stream, int lower, int upper) : CpuPrimitive(stream), lower_(lower), upper_(upper) {}
  const char* name() const override { return "TintypeBandPart"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto* y = static_cast<char*>(allocate(out));
    if (out.size() == 0) return;
    int64_t rows = out.shape(-2), columns = out.shape(-1);
    dispatch(stream(),
             [=, x = inputs[0].data<char>(), size = static_cast<int64_t>(out.itemsize()),
              lower = lower_ < 0 ? rows : int64_t{lower_}, upper = upper_ < 0 ? columns : int64_t{upper_},
              all = static_cast<int64_t>(out.size()) / columns] {
               parallel(all, std::max<int64_t>(1, kGrain / columns), [&](int64_t first, int64_t last) {
                 for (int64_t i = first; i < last; ++i) {
                   int64_t row = i % rows, begin = std::clamp<int64_t>(row - lower, 0, columns),
                           end = std::clamp<int64_t>(row + upper + 1, begin, columns);
                   char* line = y + i * columns * size;
                   std::memset(line, 0, static_cast<size_t>(begin * size));
                   std::memcpy(line + begin * size, x + (i * columns + begin) * size,
                               static_cast<size_t>((end - begin) * size));
                   std::memset(line + end * size, 0, static_cast<size_t>((columns - end) * size));
                 }
               });
             });
  }

 private:
  int lower_, upper_;
};

/** inputs indices, row-contiguous, on and off. */
class OneHot : public CpuPrimitive {
 public:
  OneHot(mx::Stream stream, int size, int64_t inner) : CpuPrimitive(stream), size_(size), inner_(inner) {}
  const char* name() const override { return "TintypeOneHot"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    char* y = static_cast<char*>(allocate(out));
    if (out.size() == 0) return;
    Job job{inputs[0].data<int32_t>(), inputs[1].data<char>(), inputs[2].data<char>(), y, size_, inner_};
    dispatch(stream(), [job, bytes = out.itemsize(), rows = static_cast<int64_t>(out.size()) / inner_] {
      parallel(rows, std::max<int64_t>(1, kGrain / job.inner), [&](int64_t first, int64_t last) {
        bytes == 1   ? job.fill<uint8_t>(first, last)
        : bytes == 2 ? job.fill<uint16_t>(first, last)
        : bytes == 4 ? job.fill<uint32_t>(first, last)
                     : job.fill<uint64_t>(first, last);
      });
    });
  }

 private:
  struct Job {
    const int32_t* indices;
    const char *on, *off;
    char* to;
    int64_t size, inner;

    // Rows [first, last) of `inner` elements, `size` of them for `inner` indices.
    template <typename T>
    void fill(int64_t first, int64_t last) const {
      T hot = *reinterpret_cast<const T*>(on), cold = *reinterpret_cast<const T*>(off);
      T* y = reinterpret_cast<T*>(to);
      for (int64_t row = first; row < last; ++row) {
        const int32_t* index = indices + row / size * inner;
        int64_t place = row % size;
        for (int64_t i = 0; i < inner; ++i) y[row * inner + i] = index[i] == place ? hot : cold;
      }
    }
  };

  int64_t size_, inner_;
};

}  // namespace

bool can_mark(mx::Dtype dtype) {
  return mx::default_device() == mx::Device::cpu && dtype.size() <= 8;
}

array band_part(const array& x, int lower, int upper) {
  return array(x.shape(), x.dtype(), std::make_shared<BandPart>(cpu_stream(), lower, upper), {dense(x)});
}

array one_hot(const array& indices, int size, int axis, const array& on, const array& off) {
  mx::Shape shape = indices.shape();
  int64_t inner = 1;
  for (int k = axis; k < static_cast<int>(shape.size()); ++k) inner *= shape[k];
  shape.insert(shape.begin() + axis, size);
  return array(std::move(shape), on.dtype(),
               std::make_shared<OneHot>(cpu_stream(), size, std::max<int64_t>(1, inner)),
               {dense(indices), on, off});
}

SetFlags::SetFlags(const bool* flags, int64_t size) : flags_(flags), size_(size) {
  int64_t pieces = (size + kPiece - 1) / kPiece;
  firsts_.resize(static_cast<size_t>(pieces) + 1);
  parallel_tasks(pieces, [&](int64_t i) {
    firsts_[static_cast<size_t>(i) + 1] =
        std::count(flags + i * kPiece, flags + std::min(size, (i + 1) * kPiece), true);
  });
  for (size_t i = 1; i < firsts_.size(); ++i) firsts_[i] += firsts_[i - 1];
}

void SetFlags::write_places(const mx::Shape& shape, int32_t* places) const {
  size_t rank = shape.size();
  parallel_tasks(static_cast<int64_t>(firsts_.size()) - 1, [&](int64_t piece) {
    int32_t* to = places + firsts_[static_cast<size_t>(piece)] * static_cast<int64_t>(rank);
    for (int64_t i = piece * kPiece; i < std::min(size_, (piece + 1) * kPiece); ++i) {
      if (!flags_[i]) continue;
      int64_t rest = i;
      for (size_t axis = rank; axis-- > 0; rest /= shape[axis])
        to[axis] = static_cast<int32_t>(rest % shape[axis]);
      to += rank;
    }
  });
}

}  // namespace tintype::kernels
