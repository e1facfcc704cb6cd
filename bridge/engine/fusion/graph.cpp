#include "fusion/graph.h"

#include "mlx/mlx.h"
#include "ops/call.h"

namespace tintype {

namespace {

void add_block(const Block& block, ValueTable& table) {
  auto note = [&](int slot, const ValueType& type) {
    bool tensor = type.kind == ValueType::Kind::kTensor;
    table.types[static_cast<size_t>(slot)] = tensor ? &type.tensor : nullptr;
  };
  for (const Definition& input : block.inputs) note(input.slot, input.type);
  for (const Operation& operation : block.operations) {
    for (const Argument& argument : operation.arguments) {
      for (const Binding& binding : argument.bindings) {
        ++table.uses[static_cast<size_t>(binding.slot)];
        if (binding.literal) note(binding.slot, binding.literal->type);
      }
    }
    for (const Block& inner : operation.blocks) add_block(inner, table);
    for (const Definition& output : operation.outputs) note(output.slot, output.type);
  }
  for (const Binding& output : block.outputs) ++table.uses[static_cast<size_t>(output.slot)];
}

}  // namespace

ValueTable value_table(const Function& function) {
  auto slots = static_cast<size_t>(function.slot_count);
  ValueTable table{std::vector<const TensorType*>(slots), std::vector<int>(slots)};
  for (const Definition& input : function.inputs) {
    if (input.type.kind == ValueType::Kind::kTensor)
      table.types[static_cast<size_t>(input.slot)] = &input.type.tensor;
  }
  add_block(function.block, table);
  return table;
}

int slot_of(const Operation& operation, std::string_view argument) {
  for (const Argument& each : operation.arguments) {
    if (each.name == argument) return each.bindings.size() == 1 ? each.bindings[0].slot : -1;
  }
  return -1;
}

Graph::Graph(const Block& block, const ValueTable& values, const std::vector<Value>& constants)
    : block_(block), values_(values), constants_(constants) {
  for (size_t place = 0; place < size(); ++place) {
    for (const Definition& output : at(place).outputs) makers_[output.slot] = place;
    for (const Argument& argument : at(place).arguments) {
      for (const Binding& binding : argument.bindings) readers_[binding.slot].push_back(place);
    }
  }
}

const Operation* Graph::maker(int slot) const {
  auto found = makers_.find(slot);
  return found == makers_.end() || is_constant(slot) ? nullptr : &at(found->second);
}

size_t Graph::place(const Operation& operation) const {
  return static_cast<size_t>(&operation - block_.operations.data());
}

const Operation* Graph::maker(const Operation& reader, std::string_view argument,
                              std::string_view type) const {
  const Operation* found = maker(slot_of(reader, argument));
  return found && found->type == type ? found : nullptr;
}

const Operation* Graph::only_reader(int slot) const {
  auto found = readers_.find(slot);
  bool once = found != readers_.end() && found->second.size() == 1 && uses(slot) == 1;
  return once ? &at(found->second[0]) : nullptr;
}

const TensorType* Graph::float_type(int slot) const {
  const TensorType* type = slot < 0 ? nullptr : values_.types[static_cast<size_t>(slot)];
  if (!type || type->any_rank || !type->is_static()) return nullptr;
  return type->dtype == DType::kFloat16 || type->dtype == DType::kFloat32 ? type : nullptr;
}

bool Graph::is_constant(int slot) const {
  return slot >= 0 && constants_[static_cast<size_t>(slot)].is_constant;
}

namespace {

template <typename T>
std::optional<std::vector<T>> values_of(const Value& value, mx::Dtype dtype) {
  if (!value.is_constant || !value.tensor || value.tensor->size() > 64) return std::nullopt;
  array x = mx::contiguous(mx::astype(*value.tensor, dtype));
  x.eval();
  return std::vector<T>(x.data<T>(), x.data<T>() + x.size());
}

}  // namespace

std::optional<std::vector<int>> Graph::integers(const Operation& operation, std::string_view argument) const {
  int slot = slot_of(operation, argument);
  if (slot < 0) return std::nullopt;
  return values_of<int>(constants_[static_cast<size_t>(slot)], mx::int32);
}

std::optional<bool> Graph::flag(const Operation& operation, std::string_view argument) const {
  auto values = integers(operation, argument);
  if (!values || values->size() != 1) return std::nullopt;
  return (*values)[0] != 0;
}

std::optional<float> Graph::number(int slot) const {
  if (slot < 0) return std::nullopt;
  auto values = values_of<float>(constants_[static_cast<size_t>(slot)], mx::float32);
  if (!values || values->size() != 1) return std::nullopt;
  return (*values)[0];
}

}  // namespace tintype
