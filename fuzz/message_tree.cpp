#include "message_tree.h"

namespace fuzz {

namespace {

/** The messages refer to each other, so they are made once and linked here. */
struct Schemas {
  Schema model{"Model", {}}, description{"ModelDescription", {}}, feature{"FeatureDescription", {}},
      type{"FeatureType", {}}, array{"ArrayFeatureType", {}}, shapes{"EnumeratedShapes", {}},
      shape{"Shape", {}}, ranges{"ShapeRange", {}}, range{"SizeRange", {}}, state{"StateFeatureType", {}},
      image{"ImageFeatureType", {}}, image_sizes{"EnumeratedImageSizes", {}}, image_size{"ImageSize", {}},
      image_range{"ImageSizeRange", {}}, function_description{"FunctionDescription", {}},
      metadata{"Metadata", {}}, text_entry{"map entry of texts", {}}, program{"Program", {}},
      function_entry{"FunctionsEntry", {}}, function{"Function", {}}, block_entry{"BlockEntry", {}},
      block{"Block", {}}, named_type{"NamedValueType", {}}, value_type{"ValueType", {}},
      tensor_type{"TensorType", {}}, dimension{"Dimension", {}}, constant{"ConstantDimension", {}},
      unknown{"UnknownDimension", {}}, wrapped{"ListType or StateType", {}}, operation{"Operation", {}},
      input_entry{"InputsEntry", {}}, argument{"Argument", {}}, binding{"Binding", {}},
      attribute_entry{"AttributesEntry", {}}, value{"Value", {}}, immediate{"ImmediateValue", {}},
      file{"BlobFileValue", {}}, tensor{"TensorValue", {}}, numbers{"RepeatedNumbers", {}},
      strings{"RepeatedStrings", {}}, values{"ListValue or TupleValue", {}};

  Schemas() {
    describe_features();
    model.fields = {{1, 'v'}, {2, 'm', &description}, {502, 'm', &program}};
    program.fields = {{1, 'v'}, {2, 'm', &function_entry}};
    function_entry.fields = {{1, 's'}, {2, 'm', &function}};
    function.fields = {{1, 'm', &named_type}, {2, 's'}, {3, 'm', &block_entry}};
    block_entry.fields = {{1, 's'}, {2, 'm', &block}};
    block.fields = {{1, 'm', &named_type}, {2, 's'}, {3, 'm', &operation}};
    named_type.fields = {{1, 's'}, {2, 'm', &value_type}};
    value_type.fields = {{1, 'm', &tensor_type}, {2, 'm', &wrapped}, {3, 'm', &values}, {5, 'm', &wrapped}};
    wrapped.fields = {{1, 'm', &value_type}, {2, 'm', &dimension}};
    tensor_type.fields = {{1, 'v'}, {2, 'v'}, {3, 'm', &dimension}};
    dimension.fields = {{1, 'm', &constant}, {2, 'm', &unknown}};
    constant.fields = unknown.fields = {{1, 'v'}};
    operation.fields = {{1, 's'},
                        {2, 'm', &input_entry},
                        {3, 'm', &named_type},
                        {4, 'm', &block},
                        {5, 'm', &attribute_entry}};
    input_entry.fields = {{1, 's'}, {2, 'm', &argument}};
    argument.fields = {{1, 'm', &binding}};
    binding.fields = {{1, 's'}, {2, 'm', &value}};
    attribute_entry.fields = {{1, 's'}, {2, 'm', &value}};
    value.fields = {{2, 'm', &value_type}, {3, 'm', &immediate}, {5, 'm', &file}};
    immediate.fields = {{1, 'm', &tensor}, {2, 'm', &values}, {3, 'm', &values}};
    values.fields = {{1, 'm', &value}};
    file.fields = {{1, 's'}, {2, 'v'}};
    tensor.fields = {{1, 'm', &numbers}, {2, 'm', &numbers}, {3, 'm', &numbers}, {4, 'm', &strings},
                     {5, 'm', &numbers}, {6, 'm', &numbers}, {7, 'm', &numbers}};
    numbers.fields = {{1, 'b'}};
    strings.fields = {{1, 's'}};
  }

  void describe_features() {
    description.fields = {{1, 'm', &feature},  {10, 'm', &feature},
                          {13, 'm', &feature}, {20, 'm', &function_description},
                          {21, 's'},           {100, 'm', &metadata}};
    function_description.fields = {{1, 's'}, {2, 'm', &feature}, {3, 'm', &feature}, {6, 'm', &feature}};
    metadata.fields = {{1, 's'}, {2, 's'}, {100, 'm', &text_entry}};
    text_entry.fields = {{1, 's'}, {2, 's'}};
    feature.fields = {{1, 's'}, {3, 'm', &type}};
    type.fields = {{4, 'm', &image}, {5, 'm', &array}, {8, 'm', &state}, {1000, 'v'}};
    array.fields = {{1, 'b'}, {2, 'v'}, {21, 'm', &shapes}, {31, 'm', &ranges}, {41, 'v'}};
    shapes.fields = {{1, 'm', &shape}};
    shape.fields = {{1, 'b'}};
    ranges.fields = {{1, 'm', &range}};
    range.fields = {{1, 'v'}, {2, 'v'}};
    state.fields = {{1, 'm', &array}};
    image.fields = {{1, 'v'}, {2, 'v'}, {3, 'v'}, {21, 'm', &image_sizes}, {31, 'm', &image_range}};
    image_sizes.fields = {{1, 'm', &image_size}};
    image_size.fields = {{1, 'v'}, {2, 'v'}};
    image_range.fields = {{1, 'm', &range}, {2, 'm', &range}};
  }
};

constexpr int kDeepest = 60;
constexpr size_t kMostBytes = 1 << 16;

bool read_varint(std::span<const uint8_t> bytes, size_t& at, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    uint8_t byte = bytes[at++];
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool read_fixed(std::span<const uint8_t> bytes, size_t& at, size_t size, uint64_t& value) {
  if (bytes.size() - at < size) return false;
  value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(bytes[at++]) << (8 * i);
  return true;
}

bool read_payload(std::span<const uint8_t> bytes, size_t& at, const Schema& schema, int depth, Field& field) {
  if (field.wire == 0) return read_varint(bytes, at, field.integer);
  if (field.wire == 1) return read_fixed(bytes, at, 8, field.integer);
  if (field.wire == 5) return read_fixed(bytes, at, 4, field.integer);
  uint64_t size = 0;
  if (field.wire != 2 || !read_varint(bytes, at, size) || size > bytes.size() - at) return false;
  auto payload = bytes.subspan(at, size);
  at += size;
  for (const FieldRule& rule : schema.fields) {
    if (rule.number != field.number || rule.kind != 'm') continue;
    if (auto inner = take_apart(payload, *rule.of, depth + 1)) {
      field.schema = rule.of;
      field.fields = std::move(*inner);
      return true;
    }
  }
  field.text.assign(payload.begin(), payload.end());
  return true;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

}  // namespace

const Schema& model_schema() {
  static const auto* schemas = new Schemas();
  return schemas->model;
}

std::optional<std::vector<Field>> take_apart(std::span<const uint8_t> bytes, const Schema& schema,
                                             int depth) {
  if (depth > kDeepest || bytes.size() > kMostBytes) return std::nullopt;
  std::vector<Field> fields;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t key = 0;
    if (!read_varint(bytes, at, key)) return std::nullopt;
    Field field;
    field.number = static_cast<uint32_t>(key >> 3);
    field.wire = key & 7;
    if (!read_payload(bytes, at, schema, depth, field)) return std::nullopt;
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string put_together(const std::vector<Field>& fields) {
  std::string out;
  for (const Field& field : fields) {
    append_varint(out, uint64_t{field.number} << 3 | field.wire);
    if (field.wire == 0) {
      append_varint(out, field.integer);
    } else if (field.wire == 2) {
      std::string payload = field.schema ? put_together(field.fields) : field.text;
      append_varint(out, payload.size());
      out += payload;
    } else {
      for (size_t i = 0; i < (field.wire == 1 ? 8 : 4); ++i)
        out += static_cast<char>(field.integer >> (8 * i));
    }
  }
  return out;
}

}  // namespace fuzz
