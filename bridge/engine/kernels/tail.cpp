#include "kernels/tail.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace tintype::kernels {

size_t count_operands(const std::vector<Step>& steps) {
  return static_cast<size_t>(
      std::count_if(steps.begin(), steps.end(), [](const Step& s) { return s.is_binary; }));
}

Tail::Tail(const std::vector<Step>& steps, const array* operands, const array& out) : steps_(steps) {
  for (const Step& step : steps) {
    if (!step.is_binary) continue;
    sides_.push_back({operands->data<char>(), is_half(*operands), Spread(out, {&out, operands})});
    ++operands;
  }
}

namespace {

void widen(const MicroKernel& kernel, int64_t count, Piece& value) {
  if (value.half) kernel.widen(count, value.rounded, value.wide);
  value.half = false;
}

void round(const MicroKernel& kernel, int64_t count, Piece& value) {
  if (!value.half) kernel.narrow(count, value.wide, value.rounded);
  value.half = true;
}

template <typename T>
using Join = void (*)(Binary, long, const T*, int, const T*, int, T*);

template <typename T>
void join(Join<T> function, const Step& step, int64_t count, const T* other, int skip, T* value) {
  if (step.swapped)
    function(step.binary, count, other, skip, value, 1, value);
  else
    function(step.binary, count, value, 1, other, skip, value);
}

}  // namespace

// Elements [place, place + count) of the value meet their operand's.
void Tail::meet(const Step& step, const Side& side, int64_t place, int64_t count, const Piece& value) const {
  const MicroKernel& kernel = micro_kernel();
  float buffer[kPiece];
  int64_t inner = side.places.shape[0], skip = side.places.step(1);
  for (int64_t done = 0; done < count;) {
    int64_t row = (place + done) / inner, start = (place + done) % inner;
    int64_t length = std::min(count - done, inner - start);
    int64_t from = side.places.offset(row, 1) + start * skip;
    if (value.half) {
      const auto* other = static_cast<const uint16_t*>(side.data) + from;
      join(kernel.binary_halves, step, length, other, static_cast<int>(skip), value.rounded + done);
    } else {
      const float* other = read(kernel, side.data, from, skip ? length : 1, side.half, buffer);
      join(kernel.binary, step, length, other, static_cast<int>(skip), value.wide + done);
    }
    done += length;
  }
}

// Between steps from float16 to float16 the value stays that: half the passes over it.
void Tail::apply(int64_t place, int64_t count, Piece& value) const {
  const MicroKernel& kernel = micro_kernel();
  const Side* side = sides_.data();
  for (const Step& step : steps_) {
    const Side* other = step.is_binary ? side++ : nullptr;
    bool halves = value.half && step.half && (!other || other->half);
    if (!halves) widen(kernel, count, value);
    if (other)
      meet(step, *other, place, count, value);
    else if (halves && step.unary != Unary::kCopy)
      kernel.unary_halves(step.unary, step.a, step.b, count, value.rounded, value.rounded);
    else if (step.unary != Unary::kCopy)
      kernel.unary(step.unary, step.a, step.b, count, value.wide, value.wide);
    if (step.half) round(kernel, count, value);
  }
}

void Tail::apply(int64_t place, int64_t count, float* value) const {
  uint16_t rounded[kPiece];
  for (int64_t size; count > 0; place += size, value += size, count -= size) {
    size = std::min(kPiece, count);
    Piece piece{value, rounded, false};
    apply(place, size, piece);
    widen(micro_kernel(), size, piece);
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
      parallel(all, kGrain, [&](int64_t first, int64_t last) {
        float wide[kPiece];
        uint16_t rounded[kPiece];
        for (int64_t i = first; i < last; i += kPiece) {
          int64_t count = std::min(kPiece, last - i);
          void* to = element(y, i, y_half);
          Piece value{y_half ? wide : static_cast<float*>(to), y_half ? static_cast<uint16_t*>(to) : rounded,
                      x_half};
          const void* from = element(x, i, x_half);
          void* start = x_half ? static_cast<void*>(value.rounded) : value.wide;
          if (from != start) std::memcpy(start, from, static_cast<size_t>(count) * (x_half ? 2 : 4));
          steps.apply(i, count, value);
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
