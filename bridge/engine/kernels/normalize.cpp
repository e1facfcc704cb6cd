// Normalisation: layer, RMS, instance and group norm, along rows or across them.
#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"
#include "kernels/primitives.h"
#include "kernels/tail.h"

namespace tintype::kernels {

namespace {

// Rows up to this length are normalised in one buffer, which stays in the second cache; longer ones by
// pieces.
constexpr int64_t kWholeRow = 16384;
// Columns that are normalised together where the axis is not the last.
constexpr int64_t kStrip = 128;

Scratch& scratch() {
  static thread_local Scratch memory;
  return memory;
}

struct Job {
  const void* x;
  void* y;
  bool x_half, y_half;
  NormPlan plan;
  const float *gamma, *beta;
  int64_t channels;  // of which each has its gamma and beta; 0: each element of a row has
  Tail tail;

  void finish(int64_t place, int64_t count, float* value) const {
    tail.apply(place, count, value);
    write(micro_kernel(), value, y, place, count, y_half);
  }
};

/** Mean and sum of squared distances from it (from 0 where the mean does not count), piece by piece (Chan,
 * Golub and LeVeque 1979). */
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void add(double n, double piece_mean, double piece_squares) {
    double distance = piece_mean - mean;
    squares += piece_squares + distance * distance * count * n / (count + n);
    mean += distance * n / (count + n);
    count += n;
  }
};

Moments measure(const Job& job, int64_t start) {
  const MicroKernel& kernel = micro_kernel();
  float wide[kPiece], squares[kPiece];
  Moments moments;
  for (int64_t i = 0; i < job.plan.length; i += kPiece) {
    int64_t count = std::min(kPiece, job.plan.length - i);
    const float* from = read(kernel, job.x, start + i, count, job.x_half, wide);
    float mean = job.plan.centered ? kernel.sum(count, from) / static_cast<float>(count) : 0;
    kernel.binary(Binary::kSub, count, from, 1, &mean, 0, squares);
    kernel.unary(Unary::kSquare, 0, 0, count, squares, squares);
    moments.add(static_cast<double>(count), mean, kernel.sum(count, squares));
  }
  return moments;
}

void long_row(const Job& job, int64_t row) {
  const MicroKernel& kernel = micro_kernel();
  int64_t start = row * job.plan.length;
  Moments moments = measure(job, start);
  auto mean = static_cast<float>(moments.mean);
  auto factor = static_cast<float>(1 / std::sqrt(moments.squares / moments.count + job.plan.epsilon));
  int64_t channel = job.channels ? row % job.channels : 0;
  float buffer[kPiece];
  for (int64_t i = 0; i < job.plan.length; i += kPiece) {
    int64_t count = std::min(kPiece, job.plan.length - i), place = start + i;
    float* value = target(job.y, place, job.y_half, buffer);
    const float* from = read(kernel, job.x, place, count, job.x_half, value);
    kernel.binary(Binary::kSub, count, from, 1, &mean, 0, value);
    kernel.unary(Unary::kAffine, factor, 0, count, value, value);
    int64_t at = job.channels ? channel : i;
    int step = job.channels ? 0 : 1;
    if (job.gamma) kernel.binary(Binary::kMul, count, value, 1, job.gamma + at, step, value);
    if (job.beta) kernel.binary(Binary::kAdd, count, value, 1, job.beta + at, step, value);
    job.finish(place, count, value);
  }
}

void short_row(const Job& job, int64_t row, float* buffer) {
  const MicroKernel& kernel = micro_kernel();
  int64_t length = job.plan.length, place = row * length;
  float* value = target(job.y, place, job.y_half, buffer);
  const float* from = read(kernel, job.x, place, length, job.x_half, buffer);
  const float *gamma = job.channels ? nullptr : job.gamma, *beta = job.channels ? nullptr : job.beta;
  if (job.plan.centered) {
    kernel.normalize(length, job.plan.epsilon, from, gamma, beta, value);
  } else {
    float* squares = buffer + length;
    kernel.unary(Unary::kSquare, 0, 0, length, from, squares);
    float mean = kernel.sum(length, squares) / static_cast<float>(length);
    kernel.unary(Unary::kAffine, 1 / std::sqrt(mean + job.plan.epsilon), 0, length, from, value);
    if (gamma) kernel.binary(Binary::kMul, length, value, 1, gamma, 1, value);
    if (beta) kernel.binary(Binary::kAdd, length, value, 1, beta, 1, value);
  }
  if (job.channels && (job.gamma || job.beta)) {
    int64_t channel = row % job.channels;
    kernel.unary(Unary::kAffine, job.gamma ? job.gamma[channel] : 1, job.beta ? job.beta[channel] : 0, length,
                 value, value);
  }
  job.finish(place, length, value);
}

// Columns [column, column + count) of one group of rows: line after line, so that a vector holds neighbours.
void strip(const Job& job, int64_t start, int64_t count) {
  const MicroKernel& kernel = micro_kernel();
  float wide[kStrip], mean[kStrip] = {}, factor[kStrip] = {};
  auto line = [&](int64_t i) {
    return read(kernel, job.x, start + i * job.plan.inner, count, job.x_half, wide);
  };
  auto length = static_cast<float>(job.plan.length);
  if (job.plan.centered) {
    for (int64_t i = 0; i < job.plan.length; ++i)
      kernel.binary(Binary::kAdd, count, line(i), 1, mean, 1, mean);
    kernel.unary(Unary::kAffine, 1 / length, 0, count, mean, mean);
  }
  float square[kStrip];
  for (int64_t i = 0; i < job.plan.length; ++i) {
    kernel.binary(Binary::kSub, count, line(i), 1, mean, 1, square);
    kernel.unary(Unary::kSquare, 0, 0, count, square, square);
    kernel.binary(Binary::kAdd, count, factor, 1, square, 1, factor);
  }
  kernel.unary(Unary::kAffine, 1 / length, 0, count, factor, factor);
  kernel.unary(Unary::kRsqrt, job.plan.epsilon, 0, count, factor, factor);
  float buffer[kStrip];
  for (int64_t i = 0; i < job.plan.length; ++i) {
    int64_t place = start + i * job.plan.inner;
    float* value = target(job.y, place, job.y_half, buffer);
    const float* from = line(i);
    if (job.plan.centered) {
      kernel.binary(Binary::kSub, count, from, 1, mean, 1, value);
      from = value;
    }
    kernel.binary(Binary::kMul, count, from, 1, factor, 1, value);
    if (job.gamma) kernel.binary(Binary::kMul, count, value, 1, job.gamma + i, 0, value);
    if (job.beta) kernel.binary(Binary::kAdd, count, value, 1, job.beta + i, 0, value);
    job.finish(place, count, value);
  }
}

void all_rows(const Job& job, int64_t rows) {
  if (job.plan.length > kWholeRow) {
    return parallel_tasks(rows, [&](int64_t i) { long_row(job, i); });
  }
  parallel(rows, std::max<int64_t>(1, kGrain / job.plan.length), [&](int64_t first, int64_t last) {
    float* buffer = scratch().floats(static_cast<size_t>(2 * job.plan.length));
    for (int64_t i = first; i < last; ++i) short_row(job, i, buffer);
  });
}

void all_strips(const Job& job, int64_t groups) {
  int64_t strips = (job.plan.inner + kStrip - 1) / kStrip;
  int64_t size = job.plan.length * std::min(kStrip, job.plan.inner);
  parallel(groups * strips, std::max<int64_t>(1, kGrain / size), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      int64_t column = i % strips * kStrip;
      strip(job, i / strips * job.plan.length * job.plan.inner + column,
            std::min(kStrip, job.plan.inner - column));
    }
  });
}

/** inputs x, gamma, beta, all contiguous float32 or (x) float16. */
class Normalize : public Tailed {
 public:
  Normalize(mx::Stream stream, const NormPlan& plan, bool gamma, bool beta, std::vector<Step> steps = {})
      : Tailed(stream, std::move(steps)), plan_(plan), gamma_(gamma), beta_(beta) {}
  const char* name() const override { return "TintypeNormalize"; }
  std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) override {
    return std::make_shared<Normalize>(stream(), plan_, gamma_, beta_, std::move(steps));
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array& x = inputs[0];
    Job job{x.data<char>(), allocate(out), is_half(x), is_half(out), plan_, nullptr, nullptr, 0, {}};
    if (out.size() == 0) return;
    job.tail = tail(inputs, out);
    if (gamma_) job.gamma = inputs[1].data<float>();
    if (beta_) job.beta = inputs[gamma_ ? 2 : 1].data<float>();
    if (plan_.scale == NormScale::kChannels) job.channels = out.shape(1);
    int64_t groups = static_cast<int64_t>(out.size()) / (plan_.length * plan_.inner);
    dispatch(stream(), [job = std::move(job), groups] {
      job.plan.inner == 1 ? all_rows(job, groups) : all_strips(job, groups);
    });
  }

 private:
  NormPlan plan_;
  bool gamma_, beta_;
};

}  // namespace

std::optional<NormPlan> NormPlan::over(const array& x, const std::vector<int>& axes, double epsilon) {
  NormPlan plan{.epsilon = static_cast<float>(epsilon)};
  if (axes.empty() || x.size() == 0) return std::nullopt;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != axes[0] + static_cast<int>(i)) return std::nullopt;
    plan.length *= x.shape(axes[i]);
  }
  for (int axis = axes.back() + 1; axis < static_cast<int>(x.ndim()); ++axis) plan.inner *= x.shape(axis);
  return plan;
}

array normalize(const array& x, const NormPlan& plan, const std::optional<array>& gamma,
                const std::optional<array>& beta, mx::Dtype dtype) {
  std::vector<array> inputs = {dense(x)};
  for (const auto& parameter : {gamma, beta}) {
    if (parameter) inputs.push_back(dense(cast(*parameter, mx::float32)));
  }
  auto primitive = std::make_shared<Normalize>(cpu_stream(), plan, gamma.has_value(), beta.has_value());
  return array(x.shape(), dtype, std::move(primitive), std::move(inputs));
}

}  // namespace tintype::kernels
