#include "kernels/compressed.h"

#include <algorithm>

#include "kernels/cpu_primitive.h"
#include "kernels/primitives.h"

namespace tintype::kernels {

namespace {

constexpr int64_t kPiece = 2048;     // elements whose copies stay in the first cache
constexpr int64_t kGrain = 1 << 16;  // elements that are worth a thread

// Codes [first, first + count) as bytes.
void unpack(const CompressedWeight& weight, int64_t first, int64_t count, uint8_t* to) {
  const uint8_t* codes = weight.codes;
  if (weight.bits == 8) {
    std::copy(codes + first, codes + first + count, to);
    return;
  }
  if (weight.bits == 4 && first % 2 == 0) {
    const uint8_t* pairs = codes + first / 2;
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      to[i] = pairs[i / 2] & 15;
      to[i + 1] = pairs[i / 2] >> 4;
    }
    if (i < count) to[i] = pairs[i / 2] & 15;
    return;
  }
  unsigned mask = (1u << weight.bits) - 1;
  for (int64_t i = 0, bit = first * weight.bits; i < count; ++i, bit += weight.bits) {
    unsigned window = codes[bit / 8];
    if (bit % 8 + weight.bits > 8) window |= static_cast<unsigned>(codes[bit / 8 + 1]) << 8;
    to[i] = static_cast<uint8_t>((window >> (bit % 8)) & mask);
  }
}

float value_at(const array& x, int64_t place) {
  if (x.dtype() == mx::float32) return x.data<float>()[place];
  if (x.dtype() == mx::int8) return x.data<int8_t>()[place];
  if (x.dtype() == mx::uint8) return x.data<uint8_t>()[place];
  float value;
  micro_kernel().widen(1, reinterpret_cast<const uint16_t*>(x.data<char>()) + place, &value);
  return value;
}

// Codes that share the parameters of `block`. Subtract, then multiply: as the expanded weight was made.
void decode_run(const CompressedWeight& weight, int64_t block, int64_t count, const uint8_t* codes,
                float* to) {
  if (weight.table) {
    int64_t start = block * weight.entries;
    if (count < weight.entries) {
      for (int64_t i = 0; i < count; ++i)
        to[i] = value_at(*weight.table, start + std::min<int>(codes[i], weight.entries - 1));
      return;
    }
    float table[256];
    for (int i = 0; i < weight.entries; ++i) table[i] = value_at(*weight.table, start + i);
    std::fill(table + weight.entries, table + 256, table[weight.entries - 1]);  // codes beyond it
    for (int64_t i = 0; i < count; ++i) to[i] = table[codes[i]];
    return;
  }
  float scale = value_at(*weight.scale, block), offset = weight.offset ? value_at(*weight.offset, block) : 0;
  if (weight.is_signed) {
    int shift = 8 - weight.bits;
    for (int64_t i = 0; i < count; ++i) {
      auto code = static_cast<int8_t>(static_cast<uint8_t>(codes[i] << shift));
      to[i] = (static_cast<float>(code >> shift) - offset) * scale;
    }
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = (static_cast<float>(codes[i]) - offset) * scale;
  }
}

// Which parameters element `place` has, and how many elements from there on share them.
int64_t block_of(const CompressedWeight& weight, int64_t place, int64_t& shared) {
  int64_t block = 0, stride = 1;
  for (size_t axis = 0; axis < weight.lengths.size(); ++axis) {
    int64_t size = weight.blocks[axis], position = place % weight.lengths[axis];
    if (axis == 0) shared = size - position % size;
    block += position / size * stride;
    stride *= weight.lengths[axis] / size;
    place /= weight.lengths[axis];
  }
  return block;
}

void decode(const CompressedWeight& weight, int64_t first, int64_t count, float* to) {
  uint8_t codes[kPiece];
  unpack(weight, first, count, codes);
  for (int64_t done = 0; done < count;) {
    int64_t shared = 0, block = block_of(weight, first + done, shared);
    int64_t length = std::min(shared, count - done);
    decode_run(weight, block, length, codes + done, to + done);
    done += length;
  }
}

// Elements [first, last) of the weight, from element `place` of y on.
void decode_range(const CompressedWeight& weight, int64_t first, int64_t last, void* y, int64_t place) {
  const MicroKernel& kernel = micro_kernel();
  bool half = weight.dtype == mx::float16;
  float buffer[kPiece];
  for (int64_t i = first; i < last; i += kPiece) {
    int64_t count = std::min(kPiece, last - i), at = place + i - first;
    float* to = target(y, at, half, buffer);
    decode(weight, i, count, to);
    write(kernel, to, y, at, count, half);
  }
}

void decode_all(const CompressedWeight& weight, int64_t all, void* y) {
  parallel(all, kGrain, [&](int64_t first, int64_t last) { decode_range(weight, first, last, y, first); });
}

class Expand : public CpuPrimitive {
 public:
  Expand(mx::Stream stream, std::shared_ptr<const CompressedWeight> weight)
      : CpuPrimitive(stream), weight_(std::move(weight)) {}
  const char* name() const override { return "TintypeExpand"; }
  const std::shared_ptr<const CompressedWeight>& weight() const { return weight_; }

  void eval_cpu(const std::vector<array>&, array& out) override {
    void* y = allocate(out);
    dispatch(stream(),
             [y, weight = weight_, all = static_cast<int64_t>(out.size())] { decode_all(*weight, all, y); });
  }

 private:
  std::shared_ptr<const CompressedWeight> weight_;
};

/** Input: indices, row-contiguous. */
class TakeRows : public CpuPrimitive {
 public:
  TakeRows(mx::Stream stream, std::shared_ptr<const CompressedWeight> weight)
      : CpuPrimitive(stream), weight_(std::move(weight)) {}
  const char* name() const override { return "TintypeTakeRows"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    auto rows = static_cast<int64_t>(inputs[0].size());
    int64_t width = rows ? static_cast<int64_t>(out.size()) / rows : 0;
    dispatch(stream(), [y, rows, width, weight = weight_, indices = inputs[0].data<int32_t>()] {
      parallel(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(width, 1)),
               [&](int64_t first, int64_t last) {
                 for (int64_t row = first; row < last; ++row) {
                   int64_t start = indices[row] * width;
                   decode_range(*weight, start, start + width, y, row * width);
                 }
               });
    });
  }

 private:
  std::shared_ptr<const CompressedWeight> weight_;
};

}  // namespace

bool CompressedWeight::divide(const std::vector<int>& counts) {
  lengths.clear();
  blocks.clear();
  if (counts.size() != shape.size()) return false;
  for (int axis = static_cast<int>(shape.size()) - 1; axis >= 0; --axis) {
    int64_t length = shape[axis], count = counts[static_cast<size_t>(axis)];
    if (count < 1 || length % count != 0 || length == 0) return false;
    if (!lengths.empty() && lengths.back() == blocks.back()) {  // all of the inner axis is alike
      blocks.back() *= length / count;
      lengths.back() *= length;
    } else {
      lengths.push_back(length);
      blocks.push_back(length / count);
    }
  }
  return !lengths.empty();
}

const void* expand(const CompressedWeight& weight, Scratch& scratch) {
  int64_t all = 1;
  for (int dimension : weight.shape) all *= dimension;
  bool half = weight.dtype == mx::float16;
  void* to = scratch.floats(static_cast<size_t>(half ? (all + 1) / 2 : all));
  decode_all(weight, all, to);
  return to;
}

array expand(const std::shared_ptr<const CompressedWeight>& weight) {
  return array(weight->shape, weight->dtype, std::make_shared<Expand>(cpu_stream(), weight), {});
}

array take_rows(const std::shared_ptr<const CompressedWeight>& weight, const array& indices) {
  mx::Shape shape = indices.shape();
  shape.insert(shape.end(), weight->shape.begin() + 1, weight->shape.end());
  return array(std::move(shape), weight->dtype, std::make_shared<TakeRows>(cpu_stream(), weight),
               {dense(mx::astype(indices, mx::int32))});
}

std::shared_ptr<const CompressedWeight> compressed_weight_of(const array& x) {
  auto* made = x.has_primitive() ? dynamic_cast<const Expand*>(&x.primitive()) : nullptr;
  return made ? made->weight() : nullptr;
}

}  // namespace tintype::kernels
