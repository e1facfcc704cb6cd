#include "run/forecast.h"

#include <algorithm>
#include <map>

namespace tintype {

namespace {

constexpr double kStep = 1 << 18;  // of a recurrent op: two dozen small arrays
constexpr double kPerSum = 1.0 / 16;

double elements(const TensorType* type) {
  return type && type->is_static() ? static_cast<double>(type->elements()) : 1;
}

double length(const TensorType* type, size_t from_end) {
  if (!type || !type->is_static() || type->shape.size() < from_end || from_end == 0) return 1;
  return static_cast<double>(type->shape[type->shape.size() - from_end]);
}

double first(const TensorType* type) {
  return std::max(1.0, type ? length(type, type->shape.size()) : 1);
}

// What each element of a product's result sums up; 0 of other ops.
double summed(const Operation& operation, const TypeOfArgument& type_of) {
  if (operation.type == "linear") return length(type_of("weight"), 1);
  if (operation.type == "matmul") return length(type_of("x"), 1);
  if (operation.type == "conv") return elements(type_of("weight")) / first(type_of("weight"));
  if (operation.type == "scaled_dot_product_attention") return 2 * length(type_of("key"), 2);
  return 0;
}

// Elements of x [s, b, in] times columns of the input weights, and the hidden ones at every step.
double recurrent(const TypeOfArgument& type_of) {
  const TensorType* x = type_of("x");
  double steps = first(x), batch = length(x, 2), directions = type_of("weight_ih_back") ? 2 : 1;
  double weights = elements(type_of("weight_ih")) + elements(type_of("weight_hh"));
  return directions * steps * (kStep + batch * weights * kPerSum);
}

// How much longer an element of these takes than one that is only written.
double pace(const std::string& type) {
  static const std::map<std::string, double, std::less<>> paces = {
      {"argsort", 64},
      {"avg_pool", 16},
      {"l2_pool", 16},
      {"max_pool", 16},
      {"local_response_norm", 64},
      {"random_bernoulli", 16},
      {"random_categorical", 32},
      {"random_normal", 64},
      {"random_uniform", 16},
  };
  auto found = paces.find(type);
  return found == paces.end() ? 1 : found->second;
}

}  // namespace

double forecast(const Operation& operation, const TypeOfArgument& type_of) {
  const std::string& type = operation.type;
  if (type == "const") return 0;
  double written = 0;
  for (const Definition& output : operation.outputs) written += elements(&output.type.tensor);
  if (type == "lstm" || type == "gru" || type == "rnn") return written + recurrent(type_of);
  if (type == "conv_transpose") {
    const TensorType* weight = type_of("weight");
    return written + elements(type_of("x")) * elements(weight) / first(weight) * kPerSum;
  }
  if (type == "topk") return written + 64 * elements(type_of("x"));
  if (type == "non_maximum_suppression" && operation.outputs.size() > 2) {
    double boxes = elements(type_of("boxes")) / 4, kept = length(&operation.outputs[2].type.tensor, 1);
    return written + 64 * elements(type_of("scores")) + boxes * kept;
  }
  if (type.rfind("reduce_", 0) == 0) written = std::max(written, elements(type_of("x")));
  return written * (pace(type) + summed(operation, type_of) * kPerSum);
}

}  // namespace tintype
