// Products: matrices, convolutions, attention.
#include "kernels/primitives.h"

#include <algorithm>
#include <vector>

#include "kernels/attention.h"
#include "kernels/compressed.h"
#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"
#include "kernels/tail.h"
#include "kernels/windows.h"

namespace tintype::kernels {

namespace {

/** Numbers as float32, whatever they were; null stays null. */
struct Bias {
  const void* data = nullptr;
  int64_t count = 0, stride = 1;
  bool half = false;

  std::vector<float> values() const {
    std::vector<float> all(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const void* from = element(data, i * stride, half);
      all[static_cast<size_t>(i)] = half ? 0 : *static_cast<const float*>(from);
      if (half) micro_kernel().widen(1, static_cast<const uint16_t*>(from), &all[static_cast<size_t>(i)]);
    }
    return all;
  }
};

// Input `index` if it is one of the `own` first, which are no operands of a tail.
Bias bias_of(const std::vector<array>& inputs, size_t index, size_t own) {
  if (own <= index) return {};
  const array& x = inputs[index];
  return {x.data<char>(), static_cast<int64_t>(x.size()), x.strides().empty() ? 1 : x.strides()[0],
          is_half(x)};
}

/** An operand: its address and how its axes lie. */
struct Operand {
  explicit Operand(const array& x)
      : data(x.data<char>()), shape(x.shape()), strides(x.strides()), half(is_half(x)) {}

  /** A dense operand whose numbers come later. */
  explicit Operand(const CompressedWeight& weight)
      : data(nullptr),
        shape(weight.shape),
        strides(weight.shape.size(), 1),
        half(weight.dtype == mx::float16) {
    for (int axis = static_cast<int>(shape.size()) - 2; axis >= 0; --axis)
      strides[axis] = strides[axis + 1] * shape[axis + 1];
  }

  int size(int axis) const { return shape[static_cast<size_t>(static_cast<int>(shape.size()) + axis)]; }

  /** Offset of matrix `index`, the leading axes being the batch. */
  int64_t offset(int64_t index) const {
    int64_t place = 0;
    for (int axis = static_cast<int>(shape.size()) - 3; axis >= 0; --axis) {
      place += index % shape[axis] * strides[axis];
      index /= shape[axis];
    }
    return place;
  }
  Matrix matrix(int64_t index) const {
    size_t rank = shape.size();
    return {element(data, offset(index), half), strides[rank - 2], strides[rank - 1], half};
  }

  const void* data;
  mx::Shape shape;
  mx::Strides strides;
  bool half;
};

/** inputs a, b of equal leading axes, any strides, and perhaps a bias of the last axis. */
class Matmul : public Tailed {
 public:
  explicit Matmul(mx::Stream stream, std::vector<Step> steps = {}) : Tailed(stream, std::move(steps)) {}
  const char* name() const override { return "TintypeMatmul"; }
  std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) override {
    return std::make_shared<Matmul>(stream(), std::move(steps));
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* c = allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [c, half = is_half(out), a = Operand(inputs[0]), b = Operand(inputs[1]),
                        bias = bias_of(inputs, 2, own_inputs(inputs)), tail = tail(inputs, out)] {
      int m = a.size(-2), k = a.size(-1), n = b.size(-1);
      int64_t batch = 1;
      for (size_t axis = 0; axis + 2 < a.shape.size(); ++axis) batch *= a.shape[axis];
      std::vector<float> added = bias.values();
      auto one = [&](int64_t i) {
        int64_t place = i * m * n;
        Product product{.data = element(c, place, half),
                        .row = n,
                        .half = half,
                        .bias = added.empty() ? nullptr : added.data(),
                        .tail = tail.empty() ? nullptr : &tail,
                        .place = place};
        multiply(m, n, k, a.matrix(i), b.matrix(i), product);
      };
      // Many small products are better divided between threads than each of them.
      bool apart = batch >= 8 && static_cast<int64_t>(m) * n * k < int64_t{1} << 24;
      if (apart && static_cast<int64_t>(m) * n * k * batch >= 1 << 18) return parallel_tasks(batch, one);
      for (int64_t i = 0; i < batch; ++i) one(i);
    });
  }
};

using Compressed = std::shared_ptr<const CompressedWeight>;

/** inputs x [m, k], perhaps a bias [n]; the weight [n, k] is expanded for the time of the product. */
class CompressedLinear : public Tailed {
 public:
  CompressedLinear(mx::Stream stream, Compressed weight, std::vector<Step> steps = {})
      : Tailed(stream, std::move(steps)), weight_(std::move(weight)) {}
  const char* name() const override { return "TintypeCompressedLinear"; }
  std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) override {
    return std::make_shared<CompressedLinear>(stream(), weight_, std::move(steps));
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* c = allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(),
             [c, half = is_half(out), x = Operand(inputs[0]), bias = bias_of(inputs, 1, own_inputs(inputs)),
              weight = weight_, tail = tail(inputs, out)] {
               static thread_local Scratch scratch;
               int m = x.size(-2), k = x.size(-1), n = weight->shape[0];
               std::vector<float> added = bias.values();
               Matrix turned{expand(*weight, scratch), 1, k, weight->dtype == mx::float16};
               multiply(m, n, k, x.matrix(0), turned,
                        {.data = c,
                         .row = n,
                         .half = half,
                         .bias = added.empty() ? nullptr : added.data(),
                         .tail = tail.empty() ? nullptr : &tail});
               scratch.trim();
             });
  }

 private:
  Compressed weight_;
};

/** inputs x and weight (if it is not compressed), row-contiguous, and perhaps a bias of the channels. */
class Conv2d : public Tailed {
 public:
  Conv2d(mx::Stream stream, const ConvPlan& plan, Compressed weight, std::vector<Step> steps = {})
      : Tailed(stream, std::move(steps)), plan_(plan), weight_(std::move(weight)) {}
  const char* name() const override { return "TintypeConv2d"; }
  std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) override {
    return std::make_shared<Conv2d>(stream(), plan_, weight_, std::move(steps));
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* c = allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [c, half = is_half(out), plan = plan_, x = Operand(inputs[0]), compressed = weight_,
                        weight = weight_ ? Operand(*weight_) : Operand(inputs[1]),
                        bias = bias_of(inputs, weight_ ? 1 : 2, own_inputs(inputs)), shape = out.shape(),
                        tail = tail(inputs, out)]() mutable {
      static thread_local Scratch scratch;
      if (compressed) weight.data = expand(*compressed, scratch);
      int64_t area = static_cast<int64_t>(shape[2]) * shape[3],
              image = static_cast<int64_t>(x.shape[1] / plan.groups) * x.shape[2] * x.shape[3];
      int rows = shape[1] / plan.groups, depth = weight.shape[1] * weight.shape[2] * weight.shape[3];
      std::vector<float> added = bias.values();
      Slide alone{patches_of(plan, x, weight, shape, x.data), shape[2]};
      auto one = [&](int64_t i) {
        int64_t group = i % plan.groups, place = i * rows * area;
        Product product{.data = element(c, place, half),
                        .row = area,
                        .half = half,
                        .bias = added.empty() ? nullptr : added.data() + group * rows,
                        .bias_of_rows = true,
                        .tail = tail.empty() ? nullptr : &tail,
                        .place = place};
        Matrix filters{element(weight.data, group * rows * depth, weight.half), depth, 1, weight.half};
        convolve(plan, x, weight, shape, element(x.data, i * image, x.half), rows, depth, filters, product);
      };
      int64_t count = static_cast<int64_t>(shape[0]) * plan.groups;
      if (plan.groups > 1 && weight.shape[1] == 1 && alone.fits()) {
        Bias filters{weight.data, int64_t{shape[1]} * depth, 1, weight.half};
        Product product{.data = c, .row = shape[3], .half = half, .tail = tail.empty() ? nullptr : &tail};
        slide_channels(alone, rows, shape, filters.values(), added, product);
      } else if (plan.groups >= 8) {
        parallel_tasks(count, one);
      } else {
        for (int64_t i = 0; i < count; ++i) one(i);
      }
      scratch.trim();
    });
  }

 private:
  static Patches patches_of(const ConvPlan& plan, const Operand& x, const Operand& weight,
                            const mx::Shape& shape, const void* image) {
    return {image,           x.shape[2],        x.shape[3],
            weight.shape[2], weight.shape[3],   plan.strides[0],
            plan.strides[1], plan.dilations[0], plan.dilations[1],
            plan.before[0],  plan.before[1],    shape[3],
            x.half};
  }

  static void convolve(const ConvPlan& plan, const Operand& x, const Operand& weight, const mx::Shape& shape,
                       const void* image, int rows, int depth, const Matrix& filters,
                       const Product& product) {
    int area = shape[2] * shape[3];
    bool pointwise = weight.shape[2] == 1 && weight.shape[3] == 1 && area == x.shape[2] * x.shape[3] &&
                     plan.before == std::array<int, 2>{0, 0};
    if (pointwise) return multiply(rows, area, depth, filters, Matrix{image, area, 1, x.half}, product);
    multiply(rows, area, depth, filters, patches_of(plan, x, weight, shape, image), product);
  }

  // Groups of one channel, from each of which `rows` are made.
  static void slide_channels(const Slide& slide, int rows, const mx::Shape& shape,
                             const std::vector<float>& weights, const std::vector<float>& bias,
                             const Product& product) {
    const Patches& p = slide.patches;
    auto image = [&](int64_t i) {
      Slide one = slide;
      int64_t channel = i % shape[1];
      one.patches.image = element(p.image, i / rows * p.height * p.width, p.half);
      one.weights = weights.data() + channel * p.kernel_height * p.kernel_width;
      if (!bias.empty()) one.bias = bias[static_cast<size_t>(channel)];
      return one;
    };
    slide_all(int64_t{shape[0]} * shape[1], image, product);
  }

  ConvPlan plan_;
  Compressed weight_;
};

/** inputs query, key, value of equal leading axes, any strides, and perhaps a mask broadcast to the scores.
 */
class Attention : public CpuPrimitive {
 public:
  Attention(mx::Stream stream, float scale) : CpuPrimitive(stream), scale_(scale) {}
  const char* name() const override { return "TintypeAttention"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    if (out.size() == 0) return;
    Operand query(inputs[0]), key(inputs[1]), value(inputs[2]), mask(inputs.back());
    AttentionSizes sizes{query.size(-2), key.size(-2),    query.size(-1), value.size(-1),
                         scale_,         MaskType::kNone, is_half(out)};
    if (inputs.size() > 3) {
      sizes.mask = inputs[3].dtype() == mx::bool_ ? MaskType::kBool
                   : mask.half                    ? MaskType::kFloat16
                                                  : MaskType::kFloat32;
    }
    dispatch(stream(), [=, half = is_half(out)] {
      int64_t heads = 1;
      for (size_t axis = 0; axis + 2 < query.shape.size(); ++axis) heads *= query.shape[axis];
      int chunk = attention_chunk(sizes, heads), chunks = (sizes.queries + chunk - 1) / chunk;
      size_t rank = query.shape.size();
      int64_t item = sizes.mask == MaskType::kBool ? 1 : sizes.mask == MaskType::kFloat16 ? 2 : 4;
      parallel_tasks(heads * chunks, [&](int64_t task) {
        int64_t i = task / chunks;
        int first = static_cast<int>(task % chunks) * chunk;
        Head head{query.matrix(i), key.matrix(i), value.matrix(i), nullptr, 0, 0, nullptr};
        head.mask = static_cast<const char*>(mask.data) + mask.offset(i) * item;
        head.mask_row = mask.strides[rank - 2], head.mask_column = mask.strides[rank - 1];
        head.output = element(y, i * sizes.queries * sizes.values, half);
        attend(sizes, head, first, std::min(sizes.queries, first + chunk));
      });
    });
  }

 private:
  float scale_;
};

}  // namespace

bool is_ours(mx::Dtype dtype) {
  return dtype == mx::float32 || dtype == mx::float16;
}

bool is_ours(const array& x) {
  return is_ours(x.dtype()) && mx::default_device() == mx::Device::cpu;
}

array matmul(const array& a, const array& b, const std::optional<array>& bias) {
  return matmul(a, b, bias, mx::result_type(a, b));
}

array matmul(const array& a, const array& b, const std::optional<array>& bias, mx::Dtype dtype) {
  bool ours = is_ours(a) && is_ours(b) && is_ours(dtype) && a.ndim() >= 2 && b.ndim() >= 2 &&
              a.shape(-1) == b.shape(-2) &&
              (!bias || (is_ours(*bias) && bias->ndim() == 1 && bias->shape(0) == b.shape(-1)));
  if (!ours) return bias ? mx::addmm(*bias, a, b) : mx::matmul(a, b);
  if (a.ndim() > 2 && b.ndim() == 2) {  // rows of all batches are one matrix
    mx::Shape shape = a.shape();
    int rows = 1;
    for (size_t axis = 0; axis + 1 < a.ndim(); ++axis) rows *= shape[axis];
    std::vector<array> inputs = {mx::reshape(dense(a), {rows, shape.back()}), b};
    if (bias) inputs.push_back(*bias);
    shape.back() = b.shape(1);
    return array(std::move(shape), dtype, std::make_shared<Matmul>(cpu_stream()), std::move(inputs));
  }
  mx::Shape a_batch(a.shape().begin(), a.shape().end() - 2), b_batch(b.shape().begin(), b.shape().end() - 2);
  mx::Shape a_shape = mx::broadcast_shapes(a_batch, b_batch), b_shape = a_shape, shape = a_shape;
  for (int axis : {-2, -1}) {
    a_shape.push_back(a.shape(axis));
    b_shape.push_back(b.shape(axis));
  }
  shape.push_back(a.shape(-2));
  shape.push_back(b.shape(-1));
  std::vector<array> inputs = {mx::broadcast_to(a, a_shape), mx::broadcast_to(b, b_shape)};
  if (bias) inputs.push_back(*bias);
  return array(std::move(shape), dtype, std::make_shared<Matmul>(cpu_stream()), std::move(inputs));
}

array linear(const array& x, const array& weight, const std::optional<array>& bias, mx::Dtype dtype) {
  Compressed compressed = compressed_weight_of(weight);
  bool ours = compressed && is_ours(x) && is_ours(dtype) &&
              (!bias || (is_ours(*bias) && bias->ndim() == 1 && bias->shape(0) == weight.shape(0)));
  if (!ours) return matmul(x, mx::transpose(weight), bias, dtype);
  mx::Shape shape = x.shape();
  shape.back() = weight.shape(0);
  int64_t rows = 1;
  for (size_t axis = 0; axis + 1 < x.ndim(); ++axis) rows *= shape[axis];
  std::vector<array> inputs = {mx::reshape(dense(x), {static_cast<int>(rows), x.shape(-1)})};
  if (bias) inputs.push_back(*bias);
  return array(std::move(shape), dtype, std::make_shared<CompressedLinear>(cpu_stream(), compressed),
               std::move(inputs));
}

array conv2d(const array& x, const array& weight, const std::optional<array>& bias, const ConvPlan& plan,
             mx::Dtype dtype) {
  mx::Shape shape = {x.shape(0), weight.shape(0), 0, 0};
  for (int i = 0; i < 2; ++i) {
    int reach = (weight.shape(i + 2) - 1) * plan.dilations[static_cast<size_t>(i)] + 1;
    int length = x.shape(i + 2) + plan.before[static_cast<size_t>(i)] + plan.after[static_cast<size_t>(i)];
    shape[i + 2] = (length - reach) / plan.strides[static_cast<size_t>(i)] + 1;
  }
  Compressed compressed = compressed_weight_of(weight);
  std::vector<array> inputs = {dense(x)};
  if (!compressed) inputs.push_back(dense(weight));
  if (bias) inputs.push_back(*bias);
  return array(std::move(shape), dtype, std::make_shared<Conv2d>(cpu_stream(), plan, compressed),
               std::move(inputs));
}

array attention(const array& query, const array& key, const array& value, const std::optional<array>& mask,
                float scale, mx::Dtype dtype) {
  mx::Shape shape = query.shape(), scores = query.shape();
  shape.back() = value.shape(-1);
  scores.back() = key.shape(-2);
  std::vector<array> inputs = {query, key, value};
  if (mask) inputs.push_back(mx::broadcast_to(*mask, scores));
  return array(std::move(shape), dtype, std::make_shared<Attention>(cpu_stream(), scale), std::move(inputs));
}

}  // namespace tintype::kernels
