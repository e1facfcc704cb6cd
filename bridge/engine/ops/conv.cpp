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
  if (spatial.kernel.size() == 2 && kernels::is_ours(x)) {
    check_counts(call, x.shape(), given.shape(), spatial);
    auto pair = [](const std::vector<int>& v) { return std::array<int, 2>{v[0], v[1]}; };
    kernels::ConvPlan plan{pair(spatial.strides), pair(spatial.dilations), pair(spatial.before),
                           pair(spatial.after), groups};
    if (call.is_ours({"x", "weight"}))
      return kernels::conv2d(call.tensor("x"), given, call.wide_or_none("bias"), plan, call.output_dtype());
    return kernels::conv2d(x, call.wide("weight"), call.wide_or_none("bias"), plan, mx::float32);
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
  std::vector<array> parts;
  auto inputs = mx::split(channels_last(x), groups, -1), weights = mx::split(weight, groups, 0);
  for (size_t g = 0; g < inputs.size(); ++g) parts.push_back(full_transpose(inputs[g], weights[g], spatial));
  array y = parts.size() == 1 ? parts[0] : mx::concatenate(parts, -1);
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
