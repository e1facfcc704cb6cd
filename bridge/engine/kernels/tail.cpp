#include "kernels/tail.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace tintype::kernels {

size_t count_operands(const std::vector<Step>& steps) {
  return static_cast<size_t>(
      std::count_if(steps.begin(), steps.end(), [](const Step& s) { return s.is_binary; }));
}

Tail::Tail(const std::vector<Step>& steps, const array* operands, const array& out) : steps_(steps) {
  for (const Step& step : steps) {
    if (!step.is_binary) continue;
    sides_.push_back({operands->data<char>(), is_half(*operands), Pair(out, out, *operands)});
    ++operands;
  }
}

// Elements [place, place + count) of the value meet their operand's.
void Tail::meet(const Step& step, const Side& side, int64_t place, int64_t count, float* value,
                float* buffer) const {
  const MicroKernel& kernel = micro_kernel();
  int64_t inner = side.places.shape[0], skip = side.places.y_strides[0] ? 1 : 0;
  for (int64_t done = 0; done < count;) {
    int64_t row = (place + done) / inner, start = (place + done) % inner, ignored, from;
    int64_t length = std::min(count - done, inner - start);
    side.places.offsets(row, ignored, from);
    const float* other = read(kernel, side.data, from + start * skip, skip ? length : 1, side.half, buffer);
    float* line = value + done;
    if (step.swapped)
      kernel.binary(step.binary, length, other, static_cast<int>(skip), line, 1, line);
    else
      kernel.binary(step.binary, length, line, 1, other, static_cast<int>(skip), line);
    done += length;
  }
}

void Tail::apply(int64_t place, int64_t count, float* value) const {
  const MicroKernel& kernel = micro_kernel();
  float buffer[kPiece];
  uint16_t rounded[kPiece];
  for (int64_t size; count > 0; place += size, value += size, count -= size) {
    size = std::min(kPiece, count);
    const Side* side = sides_.data();
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      if (step.is_binary)
        meet(step, *side++, place, size, value, buffer);
      else if (step.unary != Unary::kCopy)
        kernel.unary(step.unary, step.a, step.b, size, value, value);
      if (!step.half || i + 1 == steps_.size()) continue;
      kernel.narrow(size, value, rounded);
      kernel.widen(size, rounded, value);
    }
  }
}

namespace {

/** One dense input; all work is in the steps. */
class Chain : public Tailed {
 public:
  using Tailed::Tailed;
  const char* name() const override { return "TintypeChain"; }
  bool computes() const override { return false; }
  std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) override {
    return std::make_shared<Chain>(stream(), std::move(steps));
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array& in = inputs[0];
    const void* x = in.data<char>();
    Tail steps = tail(inputs, out);
    void* y = take_over(in, out) ? out.data<char>() : allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [x, y, x_half = is_half(in), y_half = is_half(out), steps = std::move(steps),
                        all = static_cast<int64_t>(out.size())] {
      const MicroKernel& kernel = micro_kernel();
      parallel(all, kGrain, [&](int64_t first, int64_t last) {
        float buffer[kPiece];
        for (int64_t i = first; i < last; i += kPiece) {
          int64_t count = std::min(kPiece, last - i);
          float* value = target(y, i, y_half, buffer);
          const float* from = read(kernel, x, i, count, x_half, value);
          if (from != value) std::copy(from, from + count, value);
          steps.apply(i, count, value);
          write(kernel, value, y, i, count, y_half);
        }
      });
    });
  }
};

}  // namespace

Recipe Recipe::from(const array& x) {
  return {std::make_shared<Chain>(cpu_stream(), std::vector<Step>()), {x}, {}, {}};
}

array Recipe::made(const mx::Shape& shape, mx::Dtype dtype) const {
  std::vector<array> all = inputs;
  all.insert(all.end(), operands.begin(), operands.end());
  return array(shape, dtype, maker->followed_by(steps), std::move(all));
}

std::optional<Recipe> recipe_of_tailed(const array& x) {
  auto maker = std::dynamic_pointer_cast<Tailed>(x.primitive_ptr());
  if (!maker) return std::nullopt;
  std::vector<Step> steps = maker->steps();
  const auto& inputs = x.inputs();
  auto own = inputs.end() - static_cast<ptrdiff_t>(count_operands(steps));
  if (steps.empty()) steps.push_back({.half = is_half(x)});  // the maker's own rounding
  return Recipe{std::move(maker), {inputs.begin(), own}, std::move(steps), {own, inputs.end()}};
}

}  // namespace tintype::kernels
