#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

/*
 * The class of the highest probability, and all probabilities in the order of the classes. A label that is a
 * text is its place among the classes, and a dictionary the array of its values: the C ABI carries tensors,
 * and `model_metadata` names the classes.
 */
std::vector<array> classify(Call& call) {
  array probabilities = mx::flatten(mx::astype(call.tensor("probabilities"), mx::float32));
  int count = call.count("classes");
  if (count < 1 || probabilities.size() != static_cast<size_t>(count)) {
    call.fail("classes and probabilities have another count", std::to_string(count),
              std::to_string(probabilities.size()));
  }
  array best = mx::astype(mx::argmax(probabilities), mx::int64);
  bool texts = call.output_type().dtype == DType::kString;
  return {texts ? best : mx::take(mx::flatten(call.tensor("classes")), best), probabilities};
}

}  // namespace

OpTable classify_ops() {
  return {
      {"classify", classify, "probabilities classes"},
  };
}

}  // namespace tintype
