#include "mlx/random.h"

#include <cmath>
#include <random>

#include "kernels/primitives.h"
#include "kernels/random.h"
#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

using kernels::Unary;

/*
 * MIL leaves the generator open; here it is MLX's (Threefry). The same seed gives the same values in every
 * call, on every machine. Without one (-1) each call draws its own.
 */
uint64_t seed_of(Call& call) {
  int seed = call.integer_or("seed", -1);
  return seed >= 0 ? static_cast<uint64_t>(seed) : std::random_device{}();
}

array uniform(Call& call, const mx::Shape& shape, float low, float high) {
  uint64_t seed = seed_of(call);
  if (computes_on_cpu()) return kernels::random_uniform(shape, low, high, seed);
  return mx::random::uniform(array(low), array(high), shape, mx::float32, mx::random::key(seed));
}

mx::Shape checked(Call& call, const mx::Shape& shape) {
  int64_t count = 1;
  for (int size : shape) {
    if (size < 0) call.fail("the shape is negative", std::to_string(size), "0 or more");
    count = size > 0 && count > kMostElements / size ? kMostElements : count * size;
  }
  // Uniform numbers, and those that are made of them.
  call.require_memory(2 * sizeof(float) * static_cast<uint64_t>(count));
  return shape;
}

mx::Shape shape_of(Call& call) {
  return checked(call, to_shape(call.integers("shape")));
}

// By the inverse of the distribution, as MLX does.
array random_normal(Call& call) {
  double mean = call.number_or("mean", 0), scale = call.number_or("stddev", 1) * std::sqrt(2.0);
  array x = uniform(call, shape_of(call), std::nextafter(-1.0f, 0.0f), 1.0f);
  if (computes_on_cpu()) {
    array y = kernels::unary(Unary::kInverseErf, x, mx::float32);
    return kernels::unary(Unary::kAffine, y, mx::float32, static_cast<float>(scale), static_cast<float>(mean),
                          {.x = true});
  }
  return mx::add(mx::multiply(mx::erfinv(x), scalar_like(scale, x)), scalar_like(mean, x));
}

array random_uniform(Call& call) {
  return uniform(call, shape_of(call), static_cast<float>(call.number_or("low", 0)),
                 static_cast<float>(call.number_or("high", 1)));
}

array random_bernoulli(Call& call) {
  array chance(static_cast<float>(call.number_or("prob", 0.5)));
  return mx::less(uniform(call, shape_of(call), 0, 1), chance);
}

array minus_log(const array& x) {
  if (!kernels::is_ours(x)) return mx::negative(mx::log(x));
  array y = kernels::unary(Unary::kLog, x, x.dtype());
  return kernels::unary(Unary::kNegate, y, x.dtype(), 0, 0, {.x = true});
}

// x [n, classes] of logits or probabilities -> [n, size] of classes.
array random_categorical(Call& call) {
  array x = call.wide("x");
  std::string mode = call.text_or("mode", "logits");
  int size = call.integer_or("size", 1);
  if (mode != "logits" && mode != "probs") call.fail("unknown mode", mode, "logits or probs");
  if (x.ndim() < 1 || x.shape(-1) < 1 || size < 0)
    call.fail("x has no classes, or size is negative",
              describe_shape(x.shape()) + " and " + std::to_string(size), "[n, classes] and 0 or more");
  mx::Shape shape = x.shape();  // [n, size, classes]: the class whose logit and Gumbel noise are the highest
  shape.insert(shape.end() - 1, size);
  array noise = minus_log(minus_log(uniform(call, checked(call, shape), 0, 1)));
  array logits = mx::expand_dims(mode == "probs" ? mx::log(x) : x, -2);
  if (noise.size() == 0) return mx::zeros({shape.begin(), shape.end() - 1}, mx::int32);
  return mx::argmax(mx::add(logits, noise), -1);
}

}  // namespace

OpTable random_ops() {
  return {
      {"random_bernoulli", random_bernoulli, "shape prob? seed?"},
      {"random_categorical", random_categorical, "x mode? size? seed?"},
      {"random_normal", random_normal, "shape mean? stddev? seed?"},
      {"random_uniform", random_uniform, "shape low? high? seed?"},
  };
}

}  // namespace tintype
