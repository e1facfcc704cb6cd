#include <cmath>

#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"

namespace tintype {

namespace {

// Additive form of a mask: 0 where a bool mask is true, -inf elsewhere.
array additive_mask(const array& mask, mx::Dtype dtype) {
  if (mask.dtype() != mx::bool_) return mx::astype(mask, dtype);
  array zero(0.0f, dtype), minus_infinity(-INFINITY, dtype);
  return mx::where(mask, zero, minus_infinity);
}

// query (B, *, L, E), key (B, *, S, E), value (B, *, S, V), attn_mask broadcast to (B, *, L, S)
array scaled_dot_product_attention(Call& call) {
  array query = call.wide("query"), key = call.wide("key"), value = call.wide("value");
  float scale = 1.0f / std::sqrt(static_cast<float>(query.shape(-1)));
  if (!computes_on_cpu() && query.ndim() == 4) {
    std::optional<array> mask;
    if (call.has("attn_mask")) {
      const array& given = call.tensor("attn_mask");
      mask = given.dtype() == mx::bool_ ? given : mx::astype(given, query.dtype());
    }
    return mx::fast::scaled_dot_product_attention(query, key, value, scale, mask ? "array" : "", mask);
  }
  array scores = kernels::matmul(mx::multiply(query, scalar_like(scale, query)), mx::swapaxes(key, -1, -2));
  if (call.has("attn_mask"))
    scores = mx::add(scores, additive_mask(call.tensor("attn_mask"), scores.dtype()));
  return kernels::matmul(kernels::softmax(scores, -1), value);
}

}  // namespace

OpTable transformers_ops() {
  return {
      {"scaled_dot_product_attention", scaled_dot_product_attention, "query key value attn_mask?"},
  };
}

}  // namespace tintype
