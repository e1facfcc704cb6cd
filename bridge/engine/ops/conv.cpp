#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/primitives.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/spatial.h"

namespace tintype {

namespace {

constexpr int kMostGroups = 1 << 14;  // a group may be a convolution of its own

std::vector<int> kernel_of(const array& weight) {
  return {weight.shape().begin() + std::min<ptrdiff_t>(2, static_cast<ptrdiff_t>(weight.ndim())),
          weight.shape().end()};
}

array with_bias(Call& call, const array& y) {
  auto bias = call.wide_or_none("bias");  // along the last axis while channels are last
  return bias ? mx::add(y, *bias) : y;
}

void check_bias(Call& call, int channels) {
  if (!call.has("bias")) return;
  const array& bias = call.tensor("bias");
  if (bias.ndim() != 1 || bias.shape(0) != channels) {
    call.fail("bias does not fit weight", describe_shape(bias.shape()), "[" + std::to_string(channels) + "]");
  }
}

int groups_of(Call& call, int channels) {
  int groups = call.integer_or("groups", 1);
  if (groups < 1 || channels % groups != 0)
    call.fail("groups do not divide the channels", std::to_string(groups),
              "a divisor of " + std::to_string(channels));
  if (groups > kMostGroups)
    call.fail("groups are too many", std::to_string(groups), "at most " + std::to_string(kMostGroups));
  return groups;
}

// Channels last. MLX has no groups over three axes: there every group is a convolution of its own.
array by_mlx(const array& x, const array& weight, const Spatial& spatial, int groups) {
  auto convolve = [&](const array& input, const array& filters, int count) {
    return mx::conv_general(input, filters, spatial.strides, spatial.before, spatial.after, spatial.dilations,
                            std::vector<int>(spatial.kernel.size(), 1), count, /*flip=*/false);
  };
  if (groups == 1 || spatial.kernel.size() < 3) return convolve(x, weight, groups);
  auto inputs = mx::split(x, groups, -1), filters = mx::split(weight, groups, 0);
  std::vector<array> parts;
  for (size_t g = 0; g < inputs.size(); ++g) parts.push_back(convolve(inputs[g], filters[g], 1));
  return mx::concatenate(parts, -1);
}

// kernels::conv2d counts a filter, an image of x and one of the result in 31 bits.
void check_counts(Call& call, const mx::Shape& x, const mx::Shape& weight, const Spatial& spatial) {
  int64_t filter = weight[1], result = 1;
  for (int i = 0; i < 2; ++i) {
    int64_t length = int64_t{x[i + 2]} + spatial.before[i] + spatial.after[i];
    filter = call.checked_length(filter * weight[i + 2]);
    result = call.checked_length(result * ((length - spatial.reach(i)) / spatial.strides[i] + 1));
  }
  call.checked_length(int64_t{x[2]} * x[3]);
}

/** Of a convolution of the engine's, which has two axes: one and three are made of such. */
struct Operands {
  array x, weight;  // [n, c_in, h, w] and [c_out, c_in / groups, kh, kw]
  std::optional<array> bias;
  mx::Dtype dtype;
};

array convolve(Call& call, const Operands& operands, const Spatial& spatial, int groups) {
  check_counts(call, operands.x.shape(), operands.weight.shape(), spatial);
  auto pair = [](const std::vector<int>& v) { return std::array<int, 2>{v[0], v[1]}; };
  kernels::ConvPlan plan{pair(spatial.strides), pair(spatial.dilations), pair(spatial.before),
                         pair(spatial.after), groups};
  return kernels::conv2d(operands.x, operands.weight, operands.bias, plan, operands.dtype);
}

// One axis is two, of which the first has a length of 1.
Spatial with_line(Spatial spatial) {
  for (std::vector<int>* each : {&spatial.kernel, &spatial.strides, &spatial.dilations})
    each->insert(each->begin(), 1);
  for (std::vector<int>* each : {&spatial.before, &spatial.after}) each->insert(each->begin(), 0);
  return spatial;
}

array convolve_line(Call& call, const Operands& operands, const Spatial& spatial, int groups) {
  Operands plane{mx::expand_dims(operands.x, 2), mx::expand_dims(operands.weight, 2), operands.bias,
                 operands.dtype};
  return mx::squeeze(convolve(call, plane, with_line(spatial), groups), 2);
}

constexpr int kMostLayers = 64;  // of a kernel over three axes: each is a part of the graph

// Three axes are the sum of the kernel's layers, each a convolution of the frames that it meets.
array convolve_frames(Call& call, const Operands& given, const Spatial& spatial, int groups) {
  Operands operands = given;
  Spatial flat = spatial;
  for (std::vector<int>* each : {&flat.kernel, &flat.strides, &flat.dilations, &flat.before, &flat.after})
    each->erase(each->begin());
  array x = mx::swapaxes(operands.x, 1, 2);  // [n, d, c, h, w]
  x = mx::pad(
      x, {{0, 0}, {std::max(spatial.before[0], 0), std::max(spatial.after[0], 0)}, {0, 0}, {0, 0}, {0, 0}},
      scalar_like(0, x));
  int cut = std::max(-spatial.before[0], 0), stride = spatial.strides[0];
  int length = x.shape(1) - cut - std::max(-spatial.after[0], 0);
  int frames = (length - spatial.reach(0)) / stride + 1;
  std::optional<array> sum, bias = std::exchange(operands.bias, std::nullopt);
  mx::Dtype dtype = std::exchange(operands.dtype, mx::float32);
  array weight = operands.weight;
  for (int layer = 0; layer < spatial.kernel[0]; ++layer) {
    mx::Shape start(5, 0), stop = x.shape(), step(5, 1);
    start[1] = cut + layer * spatial.dilations[0], stop[1] = start[1] + (frames - 1) * stride + 1,
    step[1] = stride;
    operands.x = mx::flatten(mx::slice(x, start, stop, step), 0, 1);
    operands.weight = mx::take(weight, layer, 2);
    array part = convolve(call, operands, flat, groups);
    sum = sum ? mx::add(*sum, part) : part;
  }
  array y = mx::swapaxes(mx::unflatten(*sum, 0, {x.shape(0), frames}), 1, 2);
  if (bias) y = mx::add(y, mx::reshape(*bias, {1, bias->shape(0), 1, 1, 1}));
  return mx::astype(y, dtype);
}

// x [n, c_in, *d], weight [c_out, c_in / groups, *k]; MLX wants channels last in both.
array conv(Call& call) {
  array x = call.wide("x");
  const array& given = call.tensor("weight");
  Spatial spatial = spatial_of(call, x.shape(), kernel_of(given));
  int groups = groups_of(call, x.shape(1));
  if (int64_t{given.shape(1)} * groups != x.shape(1)) {
    call.fail("x and weight do not fit", describe_shape(x.shape()) + " and " + describe_shape(given.shape()),
              "c_in / groups in weight's second axis");
  }
  if (given.shape(0) % groups != 0) {
    call.fail("groups do not divide weight's filters", std::to_string(groups),
              "a divisor of " + std::to_string(given.shape(0)));
  }
  check_bias(call, given.shape(0));
  for (size_t i = 0; i < spatial.kernel.size(); ++i) {
    int64_t length =
        static_cast<int64_t>(x.shape(static_cast<int>(i) + 2)) + spatial.before[i] + spatial.after[i];
    if (length < spatial.reach(i))
      call.fail("the kernel is larger than the padded input", std::to_string(spatial.reach(i)),
                "at most " + std::to_string(length));
  }
  if (kernels::is_ours(x) && (spatial.kernel.size() < 3 || spatial.kernel[0] <= kMostLayers)) {
    bool as_stored = call.is_ours({"x", "weight"});
    Operands operands{as_stored ? call.tensor("x") : x, as_stored ? given : call.wide("weight"),
                      call.wide_or_none("bias"), as_stored ? call.output_dtype() : mx::float32};
    constexpr std::array kByAxes = {convolve_line, convolve, convolve_frames};
    return kByAxes[spatial.kernel.size() - 1](call, operands, spatial, groups);
  }
  array weight =
      call.keep("channels last", "weight", [&] { return mx::contiguous(channels_last(widened(given))); });
  return channels_first(with_bias(call, by_mlx(channels_last(x), weight, spatial, groups)));
}

// Cuts [start, start + length) out of an axis; what lies behind the end is zero.
array window(const array& x, int axis, int start, int length) {
  int size = x.shape(axis);
  mx::Shape low(x.ndim(), 0), high = x.shape();
  low[axis] = std::min(start, size);
  high[axis] = static_cast<int>(std::min<int64_t>(int64_t{start} + length, size));
  array cut = mx::slice(x, low, high);
  int missing = length - (high[axis] - low[axis]);
  if (missing <= 0) return cut;
  std::vector<std::pair<int, int>> padding(x.ndim(), {0, 0});
  padding[static_cast<size_t>(axis)].second = missing;
  return mx::pad(cut, padding, scalar_like(0, x));
}

// One group: x [n, *d, c_in], weight [c_in, c_out, *k] -> the full result [n, *((d - 1) * stride + reach),
// c_out].
array full_transpose(const array& x, const array& weight, const Spatial& spatial) {
  std::vector<int> padding;
  for (size_t i = 0; i < spatial.kernel.size(); ++i) padding.push_back(spatial.reach(i) - 1);
  array kernel = mx::moveaxis(mx::swapaxes(weight, 0, 1), 1, -1);  // [c_out, *k, c_in]
  return mx::conv_general(x, kernel, std::vector<int>(padding.size(), 1), padding, padding, spatial.dilations,
                          spatial.strides, 1, /*flip=*/true);
}

/** The taps of a transposed kernel that meet one remainder of the place by the stride, on one axis. */
struct Phase {
  std::vector<int> taps;  // from the last to the first, as a convolution reads them
  int dilation, before;   // of that convolution, whose stride is 1
};

// The result's place q * stride + r is the sum of x[q - (tap * dilation - r) / stride] over these taps.
Phase phase_of(int r, int kernel, int stride, int dilation) {
  Phase phase{{}, dilation / std::gcd(stride, dilation), 0};
  for (int tap = 0; tap < kernel; ++tap) {
    if (tap * dilation % stride != r) continue;
    phase.taps.push_back(tap);
    phase.before = (tap * dilation - r) / stride;
  }
  std::reverse(phase.taps.begin(), phase.taps.end());
  return phase;
}

// The weights of one phase as a convolution has them: [c_in, c_out / groups, ...] -> [c_out, c_in / groups,
// ...].
array phase_weight(const array& weight, const std::vector<Phase>& phase, int groups) {
  array some = weight;
  for (size_t i = 0; i < phase.size(); ++i) {
    const std::vector<int>& taps = phase[i].taps;
    some = mx::take(some, array(taps.begin(), {static_cast<int>(taps.size())}), static_cast<int>(i) + 2);
  }
  return mx::contiguous(mx::flatten(mx::swapaxes(mx::unflatten(some, 0, {groups, -1}), 1, 2), 0, 1));
}

// The convolution that gives one phase `places` on every axis of x [n, c_in, *d].
Spatial phase_spatial(const std::vector<Phase>& phase, const array& x, const std::vector<int>& places) {
  Spatial plain;
  for (size_t i = 0; i < phase.size(); ++i) {
    plain.kernel.push_back(static_cast<int>(phase[i].taps.size()));
    plain.strides.push_back(1), plain.dilations.push_back(phase[i].dilation);
    plain.before.push_back(phase[i].before);
    plain.after.push_back(places[i] - x.shape(static_cast<int>(i) + 2) - phase[i].before + plain.reach(i) -
                          1);
  }
  return plain;
}

// Phases in the order of their remainders, the last axis fastest: [n, c, *places] each -> [n, c, *(places *
// stride)].
array interleaved(const std::vector<array>& parts, const std::vector<int>& strides) {
  if (parts.size() == 1) return parts[0];
  auto axes = static_cast<int>(strides.size());
  array y = mx::unflatten(mx::stack(parts, 0), 0, mx::Shape(strides.begin(), strides.end()));
  std::vector<int> order = {axes, axes + 1};
  mx::Shape shape = {y.shape(axes), y.shape(axes + 1)};
  for (int i = 0; i < axes; ++i) {
    order.push_back(axes + 2 + i), order.push_back(i);
    shape.push_back(y.shape(axes + 2 + i) * y.shape(i));
  }
  return mx::reshape(kernels::dense(mx::transpose(y, order)), shape);
}

// As full_transpose, of two or three axes and channels first: a convolution a phase, set side by side.
array transpose_by_phases(Call& call, const array& x, const array& weight, const Spatial& spatial,
                          int groups) {
  size_t axes = spatial.kernel.size();
  int channels = weight.shape(1) * groups, count = 1;
  std::vector<int> places;
  mx::Shape full = {x.shape(0), channels}, part = full;
  for (size_t i = 0; i < axes; ++i) {
    int stride = spatial.strides[i];
    full.push_back((x.shape(static_cast<int>(i) + 2) - 1) * stride + spatial.reach(i));
    places.push_back((full.back() + stride - 1) / stride);
    part.push_back(places.back());
    count *= stride;
  }
  mx::Dtype dtype = call.is_ours({"x", "weight"}) ? call.output_dtype() : mx::float32;
  std::vector<array> parts;
  for (int index = 0; index < count; ++index) {
    std::vector<Phase> phase(axes);
    bool met = true;
    for (int i = static_cast<int>(axes) - 1, rest = index; i >= 0; rest /= spatial.strides[i--]) {
      int stride = spatial.strides[i];
      phase[i] = phase_of(rest % stride, spatial.kernel[i], stride, spatial.dilations[i]);
      met = met && !phase[i].taps.empty();
    }
    if (!met) {
      parts.push_back(mx::zeros(part, dtype));
      continue;
    }
    array kernel = call.keep("phase " + std::to_string(index), "weight",
                             [&] { return phase_weight(weight, phase, groups); });
    auto convolve_axes = axes == 2 ? convolve : convolve_frames;
    parts.push_back(
        convolve_axes(call, {x, kernel, std::nullopt, dtype}, phase_spatial(phase, x, places), groups));
  }
  return mx::slice(interleaved(parts, spatial.strides), mx::Shape(axes + 2, 0), full);
}

constexpr int kMostPhases = 64;  // each is a part of the graph

// The full result, channels last, by whichever way is there.
array whole_transpose(Call& call, const array& x, const array& weight, const Spatial& spatial, int groups) {
  int64_t phases = 1;
  for (int stride : spatial.strides) phases *= stride;
  bool few = phases <= kMostPhases && (spatial.kernel.size() < 3 || spatial.kernel[0] <= kMostLayers);
  if (few && kernels::is_ours(x)) {
    bool as_stored = call.is_ours({"x", "weight"}), line = spatial.kernel.size() == 1;
    array data = as_stored ? call.tensor("x") : x, filters = as_stored ? call.tensor("weight") : weight;
    if (!line) return channels_last(transpose_by_phases(call, data, filters, spatial, groups));
    array y = transpose_by_phases(call, mx::expand_dims(data, 2), mx::expand_dims(filters, 2),
                                  with_line(spatial), groups);
    return channels_last(mx::squeeze(y, 2));
  }
  std::vector<array> parts;
  auto inputs = mx::split(channels_last(x), groups, -1), weights = mx::split(weight, groups, 0);
  for (size_t g = 0; g < inputs.size(); ++g) parts.push_back(full_transpose(inputs[g], weights[g], spatial));
  return parts.size() == 1 ? parts[0] : mx::concatenate(parts, -1);
}

array conv_transpose(Call& call) {
  array x = call.wide("x"), weight = call.wide("weight");
  Spatial spatial = spatial_of(call, x.shape(), kernel_of(weight));
  int groups = groups_of(call, x.shape(1));
  if (weight.shape(0) != x.shape(1)) {
    call.fail("x and weight do not fit", describe_shape(x.shape()) + " and " + describe_shape(weight.shape()),
              "c_in first in weight");
  }
  check_bias(call, call.checked_length(int64_t{weight.shape(1)} * groups));
  for (size_t i = 0; i < spatial.kernel.size(); ++i) {  // MLX computes the full result's lengths in int32
    int length = x.shape(static_cast<int>(i) + 2);
    call.checked_length((std::max(length, 1) - int64_t{1}) * spatial.strides[i] + 2 * spatial.reach(i));
  }
  array y = whole_transpose(call, x, weight, spatial, groups);
  std::vector<int> wanted = call.integers_or("output_shape", {});
  std::string type = call.text_or("pad_type", "valid");
  for (size_t i = 0; i < spatial.kernel.size(); ++i) {
    int axis = static_cast<int>(i) + 1, full = y.shape(axis), start = 0, length = full;
    bool same = type == "same" || type == "same_lower";
    if (same) length = call.checked_length(int64_t{x.shape(axis + 1)} * spatial.strides[i]);
    if (spatial.before[i] < 0 || spatial.after[i] < 0) {
      call.fail("a padding is negative", std::to_string(std::min(spatial.before[i], spatial.after[i])),
                "0 or more");
    }
    if (type == "custom") start = spatial.before[i], length = full - spatial.before[i] - spatial.after[i];
    if (wanted.size() == x.ndim()) length = wanted[i + 2];
    if (same) start = std::max(0, full - length) / 2;
    if (length < 1) call.fail("the padding leaves nothing", std::to_string(length), "1 or more");
    y = window(y, axis, start, length);
  }
  return channels_first(with_bias(call, y));
}

}  // namespace

OpTable conv_ops() {
  return {
      {"conv", conv, "x weight bias? strides? pad_type? pad? dilations? groups?"},
      {"conv_transpose", conv_transpose,
       "x weight bias? pad? output_shape? pad_type? strides? dilations? groups?"},
  };
}

}  // namespace tintype
