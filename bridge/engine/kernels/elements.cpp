#include "kernels/elements.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"
#include "kernels/spread.h"

namespace tintype::kernels {

namespace {

// What an element reads, and at last what it writes: Float, Integer, bool, a byte with or without Sign, or 2
// or 4 bytes of any type.
std::string_view signature(Element op) {
  if (op <= Element::kSoftsign) return "ff";
  if (op <= Element::kPow) return "fff";
  if (op <= Element::kLessEqual) return "ffb";
  if (op <= Element::kIntLessEqual) return "iib";
  if (op <= Element::kXor) return "bbb";
  if (op <= Element::kNot) return "bb";
  if (op <= Element::kIntSign) return "ii";
  if (op <= Element::kIntPow) return "iii";
  switch (op) {
    case Element::kFloatToInt:
      return "fi";
    case Element::kIntToFloat:
      return "if";
    case Element::kFloatToBool:
      return "fb";
    case Element::kIntToBool:
      return "ib";
    case Element::kBoolToFloat:
      return "bf";
    case Element::kBoolToInt:
      return "bi";
    case Element::kSelect1:
      return "b111";
    case Element::kSelect2:
      return "b222";
    case Element::kSelect4:
      return "b444";
    case Element::kQuantize:
      return "fff1";
    case Element::kDequantize:
      return "sfff";
    default:
      return "ufff";
  }
}

bool is_of(char kind, mx::Dtype dtype) {
  switch (kind) {
    case 'f':
      return is_ours(dtype);
    case 'i':
      return dtype == mx::int32;
    case 'b':
      return dtype == mx::bool_;
    case 's':
      return dtype == mx::int8;
    case 'u':
      return dtype == mx::uint8;
    default:
      return dtype.size() == static_cast<size_t>(kind - '0');
  }
}

constexpr int64_t kWidest = 4;  // bytes

/** inputs row-contiguous, of the kinds that the element reads. */
class Elements : public CpuPrimitive {
 public:
  Elements(mx::Stream stream, Element op, float a, float b) : CpuPrimitive(stream), op_(op), a_(a), b_(b) {}
  const char* name() const override { return "TintypeElements"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array &x = inputs[0], &y = inputs[inputs.size() > 1], &z = inputs.back();
    void* result =
        take_over(x, out) || take_over(y, out) || take_over(z, out) ? out.data<char>() : allocate(out);
    if (out.size() == 0) return;
    Job job{op_, a_, b_, static_cast<char*>(result), Spread(out, {&x, &y, &z}), signature(op_).back() == 'f'};
    job.half = job.makes_floats && is_half(out);
    job.size = static_cast<int64_t>(out.itemsize());
    for (const array& input : inputs) {
      bool half = signature(op_)[job.count] == 'f' && is_half(input);
      job.operands[job.count++] = {input.data<char>(), static_cast<int64_t>(input.itemsize()), half};
    }
    dispatch(stream(), [job, all = static_cast<int64_t>(out.size())] {
      int64_t inner = job.spread.shape[0], pieces = (inner + kPiece - 1) / kPiece;
      int64_t grain = std::max<int64_t>(1, kGrain / std::min(inner, kPiece));
      parallel(all / inner * pieces, grain, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) piece(job, i / pieces, i % pieces * kPiece);
      });
    });
  }

 private:
  struct Operand {
    const char* data = nullptr;
    int64_t size = 0;
    bool half = false;
  };

  struct Job {
    Element op;
    float a, b;
    char* result;
    Spread spread;
    bool makes_floats, half = false;
    int64_t size = 0;
    size_t count = 0;
    std::array<Operand, Spread::kMost> operands{};
  };

  struct alignas(64) Line {
    char bytes[kPiece * kWidest];
  };

  // `count` elements of an operand side by side, floats as float32: where they lie, or `line` filled with
  // them.
  static const void* gathered(const Operand& from, int64_t place, int step, int64_t count, Line& line) {
    const char* data = from.data + place * from.size;
    if (step && !from.half) return data;
    const MicroKernel& kernel = micro_kernel();
    auto* floats = reinterpret_cast<float*>(line.bytes);
    if (from.half) {
      kernel.widen(step ? count : 1, reinterpret_cast<const uint16_t*>(data), floats);
      if (!step) std::fill(floats + 1, floats + count, floats[0]);
    } else if (from.size == 1) {
      std::memset(line.bytes, *data, static_cast<size_t>(count));
    } else if (from.size == 2) {
      std::fill_n(reinterpret_cast<uint16_t*>(line.bytes), count, *reinterpret_cast<const uint16_t*>(data));
    } else {
      std::fill_n(reinterpret_cast<uint32_t*>(line.bytes), count, *reinterpret_cast<const uint32_t*>(data));
    }
    return line.bytes;
  }

  static void piece(const Job& job, int64_t row, int64_t start) {
    Line lines[Spread::kMost + 1];
    int64_t inner = job.spread.shape[0], count = std::min(kPiece, inner - start), place = row * inner + start;
    const void* from[Spread::kMost] = {};
    for (size_t k = 0; k < job.count; ++k) {
      int step = job.spread.step(k);
      from[k] = gathered(job.operands[k], job.spread.offset(row, k) + start * step, step, count, lines[k]);
    }
    const MicroKernel& kernel = micro_kernel();
    void* to = job.half ? static_cast<void*>(lines[Spread::kMost].bytes) : job.result + place * job.size;
    kernel.element(job.op, job.a, job.b, count, from, to);
    if (job.half) write(kernel, static_cast<const float*>(to), job.result, place, count, true);
  }

  Element op_;
  float a_, b_;
};

}  // namespace

std::optional<array> element(Element op, const std::vector<array>& operands, mx::Dtype dtype, float a,
                             float b) {
  std::string_view kinds = signature(op);
  if (mx::default_device() != mx::Device::cpu || operands.size() + 1 != kinds.size()) return std::nullopt;
  mx::Shape shape;
  std::vector<array> inputs;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!is_of(kinds[i], operands[i].dtype())) return std::nullopt;
    shape = mx::broadcast_shapes(shape, operands[i].shape());
    inputs.push_back(dense(operands[i]));
  }
  if (!is_of(kinds.back(), dtype)) return std::nullopt;
  return array(std::move(shape), dtype, std::make_shared<Elements>(cpu_stream(), op, a, b),
               std::move(inputs));
}

array select(const array& condition, const array& a, const array& b) {
  Element op = a.itemsize() == 1   ? Element::kSelect1
               : a.itemsize() == 2 ? Element::kSelect2
                                   : Element::kSelect4;
  if (a.dtype() == b.dtype()) {
    if (auto y = element(op, {condition, a, b}, a.dtype())) return *y;
  }
  return mx::where(condition, a, b);
}

}  // namespace tintype::kernels
