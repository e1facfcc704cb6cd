// MIL.proto, message by message. Field numbers are those of coremltools' descriptors.
#include <algorithm>
#include <cstring>
#include <optional>

#include "program/parse.h"
#include "support/error.h"

namespace tintype {

namespace {

int64_t parse_dimension(WireReader reader) {
  int64_t size = kUnknownDimension;
  for (WireField field; reader.next(field);) {
    if (field.number == 1) {  // constant; proto3 leaves a size of 0 out
      size = 0;
      auto constant = field.as_message();
      for (WireField inner; constant.next(inner);) {
        if (inner.number != 1) continue;
        if (inner.as_unsigned() > static_cast<uint64_t>(kLongestDimension)) {
          refuse_damage(field.offset,
                        "a dimension of " + std::to_string(inner.as_unsigned()) + " is too long");
        }
        size = static_cast<int64_t>(inner.as_unsigned());
      }
    } else if (field.number == 2) {
      size = kUnknownDimension;
      auto unknown = field.as_message();
      for (WireField inner; unknown.next(inner);) {
        if (inner.number == 1 && inner.as_bool()) size = kUnknownDimension - 1;  // variadic
      }
    }
  }
  return size;
}

void check_size(const TensorType& type, size_t offset) {
  int64_t count = 1;
  for (int64_t dimension : type.shape) {
    if (dimension > 0 && count > kMostElements / dimension) {
      refuse_damage(offset, "a tensor " + describe(type) + " has too many elements");
    }
    count *= std::max<int64_t>(dimension, 1);
  }
}

TensorType parse_tensor_type(const WireField& source) {
  TensorType type;
  int64_t rank = 0;
  auto reader = source.as_message();
  for (WireField field; reader.next(field);) {
    if (field.number == 1) type.dtype = static_cast<DType>(field.as_unsigned() & 0x7fffffff);
    if (field.number == 2) rank = field.as_signed();
    if (field.number == 3) {
      int64_t dimension = parse_dimension(field.as_message());
      if (dimension < kUnknownDimension) type.any_rank = true;
      type.shape.push_back(std::max(dimension, kUnknownDimension));
    }
  }
  if (rank < 0) type.any_rank = true;
  if (type.any_rank) {
    type.shape.clear();
  } else if (rank != static_cast<int64_t>(type.shape.size())) {
    refuse_damage(source.offset, "a type of rank " + std::to_string(rank) + " has " +
                                     std::to_string(type.shape.size()) + " dimensions");
  }
  if (type.shape.size() > TT_MAX_RANK) {
    refuse_damage(source.offset, "rank " + std::to_string(rank) + " is above " + std::to_string(TT_MAX_RANK));
  }
  check_size(type, source.offset);
  return type;
}

ValueType parse_value_type(WireReader reader) {
  ValueType type;
  for (WireField field; reader.next(field);) {
    if (field.number == 1) {
      type.kind = ValueType::Kind::kTensor;
      type.tensor = parse_tensor_type(field);
    } else if (field.number == 2 || field.number == 5) {  // listType.type, stateType.wrappedType
      auto inner = field.as_message();
      for (WireField element; inner.next(element);) {
        if (element.number == 1) type.tensor = parse_value_type(element.as_message()).tensor;
      }
      type.kind = field.number == 2 ? ValueType::Kind::kList : ValueType::Kind::kState;
    } else if (field.number == 3) {
      type.kind = ValueType::Kind::kTuple;
    } else if (field.number == 4) {
      type.kind = ValueType::Kind::kDictionary;
    }
  }
  return type;
}

Definition parse_definition(WireReader reader) {
  Definition definition;
  for (WireField field; reader.next(field);) {
    if (field.number == 1) definition.name = field.as_string();
    if (field.number == 2) definition.type = parse_value_type(field.as_message());
  }
  return definition;
}

template <typename T>
void append_bytes(std::vector<uint8_t>& bytes, const T& value) {
  auto* first = reinterpret_cast<const uint8_t*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

template <typename Value>
void copy_numbers(const std::vector<Value>& values, Literal& literal) {
  literal.bytes.resize(values.size() * sizeof(Value));
  if (!values.empty()) std::memcpy(literal.bytes.data(), values.data(), literal.bytes.size());
}

// Integers travel as varints whatever their declared width.
void narrow_integers(const std::vector<int64_t>& values, Literal& literal) {
  int bits = bits_of(literal.type.tensor.dtype);
  literal.bytes.clear();
  for (int64_t value : values) {
    if (bits == 64)
      append_bytes(literal.bytes, value);
    else if (bits == 32)
      append_bytes(literal.bytes, static_cast<int32_t>(value));
    else if (bits == 16)
      append_bytes(literal.bytes, static_cast<int16_t>(value));
    else
      append_bytes(literal.bytes, static_cast<int8_t>(value));
  }
}

void parse_tensor_value(WireReader reader, Literal& literal) {
  for (WireField field; reader.next(field);) {
    switch (field.number) {
      case 1:
        copy_numbers(parse_numbers<float>(field.as_message()), literal);
        break;
      case 2:
      case 3:
      case 5:
        narrow_integers(parse_numbers<int64_t>(field.as_message()), literal);
        break;
      case 6:
        copy_numbers(parse_numbers<double>(field.as_message()), literal);
        break;
      case 4: {
        auto strings = field.as_message();
        strings.reserve(1, literal.strings);
        for (WireField inner; strings.next(inner);) {
          if (inner.number == 1) literal.strings.push_back(inner.as_string());
        }
        break;
      }
      case 7: {
        auto bytes = field.as_message();
        for (WireField inner; bytes.next(inner);) {
          if (inner.number == 1) literal.bytes.assign(inner.bytes.begin(), inner.bytes.end());
        }
        break;
      }
      default:
        break;
    }
  }
}

Literal parse_value(WireReader reader);

void parse_immediate(WireReader reader, Literal& literal) {
  for (WireField field; reader.next(field);) {
    if (field.number == 1) parse_tensor_value(field.as_message(), literal);
    if (field.number == 2 || field.number == 3) {  // tuple, list
      auto list = field.as_message();
      list.reserve(1, literal.items);
      for (WireField item; list.next(item);) {
        if (item.number == 1) literal.items.push_back(parse_value(item.as_filled_message("a list's item")));
      }
    }
  }
}

Literal parse_value(WireReader reader) {
  Literal literal;
  std::optional<WireField> immediate, in_file;  // the type may follow on the wire, and the value needs it
  for (WireField field; reader.next(field);) {
    if (field.number == 2) literal.type = parse_value_type(field.as_message());
    if (field.number == 3) immediate = field;
    if (field.number == 5) in_file = field;
  }
  if (immediate) parse_immediate(immediate->as_message(), literal);
  if (in_file) {
    literal.in_file = true;
    auto file = in_file->as_message();
    for (WireField inner; file.next(inner);) {
      if (inner.number == 1) literal.file_name = inner.as_string();
      if (inner.number == 2) literal.file_offset = inner.as_unsigned();
    }
  }
  return literal;
}

std::shared_ptr<const Literal> parse_shared_value(const WireField& field) {
  auto reader = field.as_filled_message("a value");
  reader.take(sizeof(Literal));
  return std::make_shared<Literal>(parse_value(reader));
}

Argument parse_argument(std::string name, WireReader reader) {
  Argument argument{std::move(name), {}};
  reader.reserve(1, argument.bindings);
  for (WireField field; reader.next(field);) {
    if (field.number != 1) continue;
    Binding binding;
    auto message = field.as_filled_message("an argument's binding");
    for (WireField inner; message.next(inner);) {
      if (inner.number == 1) binding.name = inner.as_string();
      if (inner.number == 2) binding.literal = parse_shared_value(inner);
    }
    argument.bindings.push_back(std::move(binding));
  }
  return argument;
}

Block parse_block(WireReader reader);

// An attribute is the op's name, a const's value, or an argument that older opsets keep here (constexpr_*).
void parse_attribute(const WireField& field, Operation& operation) {
  MapEntry entry = parse_map_entry(field);
  auto literal = parse_shared_value(entry.value);
  if (entry.key == "name") {
    if (!literal->strings.empty()) operation.name = literal->strings.front();
  } else if (entry.key == "val") {
    operation.value = std::move(literal);
  } else {
    field.as_message().take(sizeof(Argument) + sizeof(Binding));
    operation.arguments.push_back({entry.key, {Binding{"", std::move(literal)}}});
  }
}

Operation parse_operation(WireReader reader) {
  Operation operation;
  reader.reserve(2, operation.arguments);
  reader.reserve(3, operation.outputs);
  reader.reserve(4, operation.blocks);
  for (WireField field; reader.next(field);) {
    switch (field.number) {
      case 1:
        operation.type = field.as_string();
        break;
      case 2: {
        MapEntry entry = parse_map_entry(field);
        operation.arguments.push_back(parse_argument(entry.key, entry.value.as_message()));
        break;
      }
      case 3:
        operation.outputs.push_back(parse_definition(field.as_filled_message("an output")));
        break;
      case 4:
        operation.blocks.push_back(parse_block(field.as_message()));
        break;
      case 5:
        parse_attribute(field, operation);
        break;
      default:
        break;
    }
  }
  if (operation.name.empty() && !operation.outputs.empty()) operation.name = operation.outputs.front().name;
  return operation;
}

Block parse_block(WireReader reader) {
  Block block;
  reader.reserve(1, block.inputs);
  reader.reserve(2, block.outputs);
  reader.reserve(3, block.operations);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) block.inputs.push_back(parse_definition(field.as_filled_message("an input")));
    if (field.number == 2) block.outputs.push_back(Binding{field.as_string(), nullptr});
    if (field.number == 3)
      block.operations.push_back(parse_operation(field.as_filled_message("an operation")));
  }
  return block;
}

Function parse_function(std::string name, WireReader reader) {
  Function function;
  function.name = std::move(name);
  bool found = false;
  std::string only;
  std::vector<std::pair<std::string, Block>> blocks;
  reader.reserve(1, function.inputs);
  reader.reserve(3, blocks);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) function.inputs.push_back(parse_definition(field.as_filled_message("an input")));
    if (field.number == 2) function.opset = field.as_string();
    if (field.number == 3) {
      MapEntry entry = parse_map_entry(field);
      blocks.emplace_back(entry.key, parse_block(entry.value.as_message()));
    }
  }
  for (auto& [opset, block] : blocks) {
    if (opset != function.opset) continue;
    function.block = std::move(block);
    found = true;
  }
  if (!found) {
    std::string given;
    for (const auto& [opset, block] : blocks) given += (given.empty() ? "" : ", ") + quoted(opset);
    refuse(TT_ERROR_FORMAT, {"function " + quoted(function.name), "it has no block for its opset",
                             given.empty() ? "none" : given, quoted(function.opset),
                             "Convert or download the package again."});
  }
  return function;
}

}  // namespace

Program parse_program(WireReader reader) {
  Program program;
  reader.reserve(2, program.functions);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) program.version = field.as_signed();
    if (field.number == 2) {
      MapEntry entry = parse_map_entry(field);
      program.functions.push_back(parse_function(entry.key, entry.value.as_message()));
    }
  }
  return program;
}

}  // namespace tintype
