#include "ops/registry.h"

#include <map>
#include <sstream>

#include "support/error.h"

namespace tintype {

namespace {

std::vector<Parameter> parse_parameters(const char* text) {
  std::vector<Parameter> parameters;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    Parameter parameter;
    parameter.optional = word.back() == '?';
    if (parameter.optional) word.pop_back();
    parameter.variadic = word.back() == '*';
    if (parameter.variadic) word.pop_back();
    parameter.name = word;
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

using Registry = std::map<std::string, OpEntry, std::less<>>;

const Registry& registry() {
  static const auto* table = [] {
    auto* all = new Registry();  // lives as long as the process, whose end may come while a thread reads it
    for (auto family : {activation_ops,
                        classify_ops,
                        constexpr_ops,
                        control_flow_ops,
                        conv_ops,
                        elementwise_binary_ops,
                        elementwise_unary_ops,
                        image_resizing_ops,
                        linear_ops,
                        normalization_ops,
                        pool_ops,
                        quantization_ops,
                        random_ops,
                        recurrent_ops,
                        reduction_ops,
                        scatter_gather_ops,
                        states_ops,
                        tensor_operation_ops,
                        tensor_transformation_ops,
                        transformers_ops}) {
      for (OpEntry& entry : family()) all->emplace(entry.name, std::move(entry));
    }
    return all;
  }();
  return *table;
}

}  // namespace

OpEntry::OpEntry(const char* name, OneOutput run, const char* parameters)
    : name(name), run_one(run), parameters(parse_parameters(parameters)) {}

OpEntry::OpEntry(const char* name, ManyOutputs run, const char* parameters, int blocks, size_t least_outputs)
    : name(name),
      run_many(run),
      parameters(parse_parameters(parameters)),
      blocks(blocks),
      least_outputs(least_outputs) {}

const Parameter* OpEntry::find(std::string_view name) const {
  for (const Parameter& parameter : parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

std::string OpEntry::describe_parameters() const {
  std::string text;
  for (const Parameter& parameter : parameters) {
    text += (text.empty() ? "" : " ") + parameter.name + (parameter.optional ? "?" : "");
  }
  return text.empty() ? "none" : text;
}

const OpEntry* find_op(std::string_view name) {
  auto found = registry().find(name);
  return found == registry().end() ? nullptr : &found->second;
}

std::string closest_op(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& [key, entry] : registry()) names.push_back(key);
  return closest_name(name, names.data(), names.size());
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& [key, entry] : registry()) names.push_back(key);
  return names;
}

}  // namespace tintype
