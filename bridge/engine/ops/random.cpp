#include "mlx/random.h"

#include <random>

#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

/*
 * MIL leaves the generator open; here it is MLX's (Threefry). The same seed gives the same values in every
 * call, on every machine. Without one (-1) each call draws its own.
 */
array key_of(Call& call) {
  int seed = call.integer_or("seed", -1);
  return mx::random::key(seed >= 0 ? static_cast<uint64_t>(seed) : std::random_device{}());
}

mx::Shape shape_of(Call& call) {
  std::vector<int> shape = call.integers("shape");
  int64_t count = 1;
  for (int size : shape) {
    if (size < 0) call.fail("the shape is negative", std::to_string(size), "0 or more");
    count = size > 0 && count > kMostElements / size ? kMostElements : count * size;
  }
  // Bits, and the values that are made of them; MLX's generator cannot be ended half-way.
  call.require_memory(2 * sizeof(float) * static_cast<uint64_t>(count));
  return to_shape(shape);
}

array random_normal(Call& call) {
  auto mean = static_cast<float>(call.number_or("mean", 0)),
       scale = static_cast<float>(call.number_or("stddev", 1));
  return mx::random::normal(shape_of(call), mx::float32, mean, scale, key_of(call));
}

array random_uniform(Call& call) {
  array low(static_cast<float>(call.number_or("low", 0))),
      high(static_cast<float>(call.number_or("high", 1)));
  return mx::random::uniform(low, high, shape_of(call), mx::float32, key_of(call));
}

array random_bernoulli(Call& call) {
  array chance(static_cast<float>(call.number_or("prob", 0.5)));
  return mx::random::bernoulli(chance, shape_of(call), key_of(call));
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
  return mx::random::categorical(mode == "probs" ? mx::log(x) : x, -1, size, key_of(call));
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
