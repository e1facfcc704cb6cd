#include <cmath>

#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

// Additive form of a mask: 0 where a bool mask is true, -inf elsewhere.
array additive_mask(const array& mask, mx::Dtype dtype) {
  if (mask.dtype() != mx::bool_) return mx::astype(mask, dtype);
  array zero(0.0f, dtype), minus_infinity(-INFINITY, dtype);
  return mx::where(mask, zero, minus_infinity);
}

// The heads of all batches, broadcast to common leading axes.
array with_batch(const array& x, const mx::Shape& batch) {
  mx::Shape shape = batch;
  shape.push_back(x.shape(-2));
  shape.push_back(x.shape(-1));
  return mx::broadcast_to(x, shape);
}

array ours(Call& call, float scale) {
  const array &query = call.tensor("query"), &key = call.tensor("key"), &value = call.tensor("value");
  auto leading = [](const array& x) { return mx::Shape(x.shape().begin(), x.shape().end() - 2); };
  mx::Shape batch = mx::broadcast_shapes(leading(query), mx::broadcast_shapes(leading(key), leading(value)));
  std::optional<array> mask;
  if (call.has("attn_mask")) {
    const array& given = call.tensor("attn_mask");
    mask = given.dtype() == mx::bool_ || kernels::is_ours(given) ? given : mx::astype(given, mx::float32);
  }
  return kernels::attention(with_batch(query, batch), with_batch(key, batch), with_batch(value, batch), mask,
                            scale, call.output_dtype());
}

// The mask broadcasts to [..., l, s].
void check_leading(Call& call) {
  const array &query = call.tensor("query"), &key = call.tensor("key"), &value = call.tensor("value");
  auto leading = [](const array& x) { return mx::Shape(x.shape().begin(), x.shape().end() - 2); };
  const char* what = "the leading axes of query, key and value";
  check_broadcast(call, what, leading(query), leading(key));
  mx::Shape scores = mx::broadcast_shapes(leading(query), leading(key));
  check_broadcast(call, what, scores, leading(value));
  scores = mx::broadcast_shapes(scores, leading(value));
  scores.push_back(query.shape(-2)), scores.push_back(key.shape(-2));
  if (call.has("attn_mask")) check_broadcast_to(call, "attn_mask", call.tensor("attn_mask").shape(), scores);
}

void check_sizes(Call& call) {
  const array &query = call.tensor("query"), &key = call.tensor("key"), &value = call.tensor("value");
  bool fits = query.ndim() >= 2 && key.ndim() >= 2 && value.ndim() >= 2 && query.shape(-1) == key.shape(-1) &&
              key.shape(-2) == value.shape(-2);
  if (fits) return check_leading(call);
  call.fail("query, key and value do not fit",
            describe_shape(query.shape()) + ", " + describe_shape(key.shape()) + " and " +
                describe_shape(value.shape()),
            "[..., l, e], [..., s, e] and [..., s, v]");
}

// query (B, *, L, E), key (B, *, S, E), value (B, *, S, V), attn_mask broadcast to (B, *, L, S)
array scaled_dot_product_attention(Call& call) {
  check_sizes(call);
  float scale = 1.0f / std::sqrt(static_cast<float>(call.tensor("query").shape(-1)));
  constexpr int kWidest = 1 << 14;  // blocks of keys and values of that width are kept
  bool narrow = call.tensor("query").shape(-1) <= kWidest && call.tensor("value").shape(-1) <= kWidest;
  if (narrow && call.is_ours({"query", "key", "value"}) && call.tensor("key").shape(-2) > 0)
    return ours(call, scale);
  array query = call.wide("query"), key = call.wide("key"), value = call.wide("value");
  if (!computes_on_cpu() && query.ndim() == 4) {
    std::optional<array> mask;
    if (call.has("attn_mask")) {
      const array& given = call.tensor("attn_mask");
      mask = given.dtype() == mx::bool_ ? given : mx::astype(given, query.dtype());
    }
    return mx::fast::scaled_dot_product_attention(query, key, value, scale, mask ? "array" : "", mask);
  }
  array scores = mx::matmul(mx::multiply(query, scalar_like(scale, query)), mx::swapaxes(key, -1, -2));
  if (call.has("attn_mask"))
    scores = mx::add(scores, additive_mask(call.tensor("attn_mask"), scores.dtype()));
  return mx::matmul(mx::softmax(scores, -1, /*precise=*/true), value);
}

}  // namespace

OpTable transformers_ops() {
  return {
      {"scaled_dot_product_attention", scaled_dot_product_attention, "query key value attn_mask?"},
  };
}

}  // namespace tintype
