#include "ops/spatial.h"

namespace tintype {

namespace {

// Far above any real layer and far below an overflow of sums of three.
constexpr int kLargest = 1 << 24, kLongest = 1 << 30;

void require_positive(Call& call, const char* name, const std::vector<int>& values, size_t count) {
  if (values.size() != count) {
    call.fail(std::string(name) + " has a wrong count of values", std::to_string(values.size()),
              std::to_string(count));
  }
  for (int value : values) {
    if (value < 1 || value > kLargest) {
      call.fail(std::string(name) + " must be positive", std::to_string(value),
                "1 to " + std::to_string(kLargest));
    }
  }
}

}  // namespace

Spatial spatial_of(Call& call, const mx::Shape& shape, std::vector<int> kernel) {
  if (shape.size() < 3 || shape.size() > 5) {
    call.fail("x has a wrong rank", describe_shape(shape), "[n, c, *d] with 1 to 3 axes d");
  }
  size_t count = shape.size() - 2;
  for (size_t i = 2; i < shape.size(); ++i) {
    if (shape[i] > kLongest)
      call.fail("x is too long", describe_shape(shape), "at most " + std::to_string(kLongest) + " an axis");
  }
  Spatial spatial;
  spatial.kernel = std::move(kernel);
  spatial.strides = call.integers_or("strides", std::vector<int>(count, 1));
  spatial.dilations = call.integers_or("dilations", std::vector<int>(count, 1));
  require_positive(call, "the kernel", spatial.kernel, count);
  require_positive(call, "strides", spatial.strides, count);
  require_positive(call, "dilations", spatial.dilations, count);
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<int64_t>(spatial.kernel[i]) * spatial.dilations[i] > kLargest) {
      call.fail("the dilated kernel is too large", std::to_string(spatial.dilations[i]),
                "a smaller dilation");
    }
  }
  spatial.before.assign(count, 0);
  spatial.after.assign(count, 0);
  std::string type = call.text_or("pad_type", "valid");
  std::vector<int> pad = call.integers_or("pad", std::vector<int>(2 * count, 0));
  if (type == "custom") {
    if (pad.size() != 2 * count)
      call.fail("pad has a wrong count of values", std::to_string(pad.size()), std::to_string(2 * count));
    for (int amount : pad) {
      if (amount < -kLargest || amount > kLargest)
        call.fail("a padding is too large", std::to_string(amount), "at most " + std::to_string(kLargest));
    }
    for (size_t i = 0; i < count; ++i) spatial.before[i] = pad[2 * i], spatial.after[i] = pad[2 * i + 1];
  } else if (type == "same" || type == "same_lower") {
    for (size_t i = 0; i < count; ++i) {
      int length = shape[2 + i], stride = spatial.strides[i];
      int total = std::max(0, (length + stride - 1) / stride * stride - length + spatial.reach(i) - stride);
      int smaller = total / 2, larger = total - smaller;
      spatial.before[i] = type == "same" ? smaller : larger;
      spatial.after[i] = type == "same" ? larger : smaller;
    }
  } else if (type != "valid") {
    call.fail("unknown pad_type", type, "valid, custom, same or same_lower");
  }
  return spatial;
}

array channels_last(const array& x) {
  return mx::moveaxis(x, 1, -1);
}

array channels_first(const array& x) {
  return mx::moveaxis(x, -1, 1);
}

}  // namespace tintype
