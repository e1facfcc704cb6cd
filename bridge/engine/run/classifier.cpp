#include "run/classifier.h"

#include <algorithm>
#include <cstring>

#include "program/types.h"

namespace tintype {

namespace {

// The op that makes a classifier of a function; it comes last, if there is one.
const Operation* classify_op(const Function& function) {
  if (function.block.operations.empty()) return nullptr;
  const Operation& last = function.block.operations.back();
  return last.type == "classify" && last.outputs.size() == 2 ? &last : nullptr;
}

// The list of a classify op, where it is written into the program.
const Literal* classes_of(const Operation& classify) {
  for (const Argument& argument : classify.arguments) {
    if (argument.name == "classes" && argument.bindings.size() == 1)
      return argument.bindings[0].literal.get();
  }
  return nullptr;
}

}  // namespace

TensorType carried_type(const Function& function, const std::string& name, const TensorType& declared) {
  const Operation* classify = classify_op(function);
  if (!classify) return declared;
  if (name == classify->outputs[0].name) return {DType::kInt64, false, {}};
  const Literal* classes = classes_of(*classify);
  int64_t count = classes ? static_cast<int64_t>(classes->items.size()) : kUnknownDimension;
  return name == classify->outputs[1].name ? TensorType{DType::kFloat32, false, {count}} : declared;
}

std::optional<Json> describe_classifier(const Function& function) {
  const Operation* classify = classify_op(function);
  if (!classify) return std::nullopt;
  Json names = Json::array();
  const Literal* classes = classes_of(*classify);
  for (size_t i = 0; classes && i < classes->items.size(); ++i) {
    const Literal& item = classes->items[i];
    int64_t number = 0;
    if (!item.strings.empty()) {
      names.push(Json::string(item.strings[0]));
    } else {
      if (!item.bytes.empty())
        std::memcpy(&number, item.bytes.data(), std::min(sizeof number, item.bytes.size()));
      names.push(Json::integer(number));
    }
  }
  return Json::object()
      .set("label", Json::string(classify->outputs[0].name))
      .set("probabilities", Json::string(classify->outputs[1].name))
      .set("classes", names);
}

}  // namespace tintype
