#include "kernels/chain.h"

#include <algorithm>

#include "kernels/pair.h"
#include "kernels/parallel.h"

namespace tintype::kernels {

namespace {

/** An operand's address and how it lies under the result. */
struct Side {
  const void* data;
  bool half;
  Pair places;
};

/** One computation of a chain. */
struct Job {
  const void* base;
  void* out;
  bool base_half, out_half;
  std::vector<Step> steps;
  std::vector<Side> sides;
};

// Elements [place, place + count) of the value meet their operand's.
void meet(const Step& step, const Side& side, int64_t place, int64_t count, float* value) {
  const MicroKernel& kernel = micro_kernel();
  float buffer[kPiece];
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

void compute(const Job& job, int64_t place, int64_t count) {
  const MicroKernel& kernel = micro_kernel();
  float buffer[kPiece];
  uint16_t rounded[kPiece];
  float* value = target(job.out, place, job.out_half, buffer);
  const float* from = read(kernel, job.base, place, count, job.base_half, value);
  if (from != value) std::copy(from, from + count, value);
  for (size_t i = 0; i < job.steps.size(); ++i) {
    const Step& step = job.steps[i];
    if (step.is_binary)
      meet(step, job.sides[step.operand], place, count, value);
    else
      kernel.unary(step.unary, step.a, step.b, count, value, value);
    if (!step.half || i + 1 == job.steps.size()) continue;
    kernel.narrow(count, value, rounded);
    kernel.widen(count, rounded, value);
  }
  write(kernel, value, job.out, place, count, job.out_half);
}

/** inputs base, then the operands. */
class Chain : public CpuPrimitive {
 public:
  Chain(mx::Stream stream, std::vector<Step> steps) : CpuPrimitive(stream), steps_(std::move(steps)) {}
  const char* name() const override { return "TintypeChain"; }
  const std::vector<Step>& steps() const { return steps_; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    Job job{inputs[0].data<char>(), nullptr, is_half(inputs[0]), is_half(out), steps_, {}};
    for (size_t i = 1; i < inputs.size(); ++i)
      job.sides.push_back({inputs[i].data<char>(), is_half(inputs[i]), Pair(out, out, inputs[i])});
    job.out = take_over(inputs[0], out) ? out.data<char>() : allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [job = std::move(job), all = static_cast<int64_t>(out.size())] {
      parallel(all, kGrain, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; i += kPiece) compute(job, i, std::min(kPiece, last - i));
      });
    });
  }

 private:
  std::vector<Step> steps_;
};

}  // namespace

array chained(Recipe recipe, mx::Dtype dtype) {
  std::vector<array> inputs = {recipe.base};
  inputs.insert(inputs.end(), recipe.operands.begin(), recipe.operands.end());
  mx::Shape shape = recipe.base.shape();
  return array(std::move(shape), dtype, std::make_shared<Chain>(cpu_stream(), std::move(recipe.steps)),
               std::move(inputs));
}

std::optional<Recipe> recipe_of_chain(const array& x) {
  auto* chain = dynamic_cast<const Chain*>(&x.primitive());
  if (!chain) return std::nullopt;
  return Recipe{x.inputs()[0], chain->steps(), {x.inputs().begin() + 1, x.inputs().end()}};
}

}  // namespace tintype::kernels
