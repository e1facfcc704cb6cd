#include "run/model.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string_view>

#include "fusion/fuse.h"
#include "kernels/primitives.h"
#include "mlx/mlx.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "run/available_memory.h"
#include "run/classifier.h"
#include "run/compressed.h"
#include "run/compute.h"
#include "run/engine_thread.h"
#include "run/executor.h"
#include "run/images.h"
#include "run/memory.h"
#include "run/monitor.h"
#include "support/error.h"

namespace tintype {

namespace {

constexpr const char* kDamaged = "Convert or download the package again.";

// Values of fewer than 8 bits, low bits first, become bytes; int4 keeps its sign.
array unpack(std::span<const uint8_t> packed, const TensorType& type, const mx::Shape& shape,
             const std::string& place) {
  int bits = bits_of(type.dtype);
  auto count = static_cast<size_t>(type.elements());
  if (!fits_in_memory(count)) {
    refuse(TT_ERROR_OUT_OF_MEMORY, {place, "the weight is larger than memory when it is unpacked",
                                    describe(type), "", "Close other programs, or use a smaller model."});
  }
  auto data = mx::allocator::malloc(std::max<size_t>(count, 1));
  auto* target = static_cast<uint8_t*>(data.buffer().raw_ptr());
  if (!target) throw std::bad_alloc();
  unsigned mask = (1u << bits) - 1;
  for (size_t i = 0; i < count; ++i) {
    size_t bit = i * static_cast<size_t>(bits);
    unsigned window = packed[bit / 8];
    if (bit % 8 + static_cast<size_t>(bits) > 8) window |= static_cast<unsigned>(packed[bit / 8 + 1]) << 8;
    unsigned value = (window >> (bit % 8)) & mask;
    bool negative = type.dtype == DType::kInt4 && (value & 8);
    target[i] = static_cast<uint8_t>(negative ? value | 0xf0 : value);
  }
  return array(std::move(data), shape, mlx_dtype(type.dtype));
}

using Definitions = std::map<std::string_view, const Definition*>;

Definitions by_name(const std::vector<Definition>& definitions) {
  Definitions found;
  for (const Definition& definition : definitions) found.emplace(definition.name, &definition);
  return found;
}

const Definition* value_of(const Definitions& definitions, const std::string& name) {
  auto found = definitions.find(name);
  return found == definitions.end() ? nullptr : found->second;
}

// What a block's names mean at its end: a later op's output shadows an earlier one's, and both an input.
Definitions at_end(const Function& function) {
  Definitions found = by_name(function.inputs);
  for (const Operation& operation : function.block.operations) {
    for (const Definition& output : operation.outputs) found[output.name] = &output;
  }
  return found;
}

// The description may leave dtype and shape to the program (images, outputs).
void complete(Feature& feature, const TensorType& type) {
  if (feature.dtype == DType::kUnused || !feature.is_array) feature.dtype = type.dtype;
  if (feature.shape.empty() && !type.any_rank) feature.shape = type.shape;
}

void load_states(const FunctionDescription& description, LoadedFunction& loaded) {
  std::string place = "function " + quoted(description.name);
  Definitions inputs = by_name(loaded.program->inputs);
  std::set<std::string> described;
  for (Feature feature : description.states) {
    const Definition* input = value_of(inputs, feature.name);
    if (!input || input->type.kind != ValueType::Kind::kState) {
      refuse(TT_ERROR_FORMAT, {place, "the program has no state " + quoted(feature.name), "", "", kDamaged});
    }
    feature.dtype = input->type.tensor.dtype;
    feature.shape = input->type.tensor.shape;
    described.insert(feature.name);
    loaded.state_slots.push_back(input->slot);
    loaded.states.push_back(std::move(feature));
  }
  for (const Definition& input : loaded.program->inputs) {
    if (input.type.kind == ValueType::Kind::kState && !described.count(input.name)) {
      refuse(TT_ERROR_FORMAT, {place, "state " + quoted(input.name) + " is not described", "", "", kDamaged});
    }
  }
}

}  // namespace

uint64_t Model::next_identity() {
  static std::atomic<uint64_t> next = 1;
  return next++;
}

std::unique_ptr<Model> Model::load(Package package) {
  auto model = std::make_unique<Model>();
  model->package_ = std::move(package);
  Specification& specification = model->package_.specification;
  resolve_program(specification.program);
  std::stable_sort(
      specification.functions.begin(), specification.functions.end(), [&](const auto& a, const auto& b) {
        return (a.name == specification.default_function) > (b.name == specification.default_function);
      });
  for (const FunctionDescription& description : specification.functions) model->load_function(description);
  on_engine_thread([&] {
    try {
      for (LoadedFunction& function : model->functions_) model->load_constants(function);
    } catch (...) {
      rethrow_as_refusal("weights");
    }
    for (Function& function : specification.program.functions) {
      for (const LoadedFunction& loaded : model->functions_) {
        if (loaded.program == &function) fuse(function, loaded.constants);
      }
    }
  });
  return model;
}

void Model::load_function(const FunctionDescription& description) {
  std::string place = "function " + quoted(description.name);
  LoadedFunction loaded;
  for (const Function& function : package_.specification.program.functions) {
    if (function.name == description.name) loaded.program = &function;
  }
  if (!loaded.program) {
    refuse(TT_ERROR_FORMAT, {place, "it is described, but the program does not define it", "", "", kDamaged});
  }
  load_states(description, loaded);
  Definitions inputs = by_name(loaded.program->inputs), values = at_end(*loaded.program);
  for (Feature feature : description.inputs) {
    const Definition* input = value_of(inputs, feature.name);
    if (!input)
      refuse(TT_ERROR_FORMAT, {place, "the program has no input " + quoted(feature.name), "", "", kDamaged});
    if (input->type.kind != ValueType::Kind::kTensor) {
      refuse(TT_ERROR_UNSUPPORTED,
             {place, "input " + quoted(feature.name) + " is no tensor", describe_kind(input->type),
              "a multiarray or an image", "Convert the model without it."});
    }
    complete(feature, input->type.tensor);
    if (feature.image) check_image("input " + quoted(feature.name), *feature.image, input->type.tensor);
    if (!loaded.input_places.emplace(feature.name, loaded.inputs.size()).second) {
      refuse(TT_ERROR_FORMAT,
             {place, "input " + quoted(feature.name) + " is described twice", "", "", kDamaged});
    }
    loaded.input_slots.push_back(input->slot);
    loaded.input_dtypes.push_back(input->type.tensor.dtype);
    loaded.inputs.push_back(std::move(feature));
  }
  std::map<std::string_view, size_t> returned;
  const auto& outputs = loaded.program->block.outputs;
  for (size_t i = 0; i < outputs.size(); ++i) returned.emplace(outputs[i].name, i);
  for (Feature feature : description.outputs) {
    const Definition* value = value_of(values, feature.name);
    auto found = returned.find(feature.name);
    if (!value || found == returned.end()) {
      refuse(TT_ERROR_FORMAT,
             {place, "the program returns no output " + quoted(feature.name), "", "", kDamaged});
    }
    const TensorType* type = &value->type.tensor;
    loaded.output_places.push_back(found->second);
    complete(feature, carried_type(*loaded.program, feature.name, *type));
    if (feature.image) check_image("output " + quoted(feature.name), *feature.image, *type);
    loaded.outputs.push_back(std::move(feature));
  }
  for (const Definition& input : loaded.program->inputs) {
    bool described = loaded.input_places.count(input.name);
    bool state = input.type.kind == ValueType::Kind::kState;
    if (!described && !state) {
      refuse(TT_ERROR_FORMAT, {place, "input " + quoted(input.name) + " is not described", "", "", kDamaged});
    }
  }
  loaded.is_small = is_small(*loaded.program);
  functions_.push_back(std::move(loaded));
}

void Model::load_constants(LoadedFunction& function) {
  function.constants.resize(static_cast<size_t>(function.program->slot_count));
  function.memories.resize(static_cast<size_t>(function.program->operation_count));
  in_file_.clear();
  load_block(function.program->block, function);
}

void Model::load_block(const Block& block, LoadedFunction& function) {
  for (const Operation& operation : block.operations) {
    if (operation.value) {
      const Literal& literal = *operation.value;
      int slot = operation.outputs[0].slot;
      bool tensor = literal.type.kind == ValueType::Kind::kTensor && literal.in_file;
      if (tensor) in_file_[slot] = &literal;
      if (tensor && bits_of(literal.type.tensor.dtype) < 8)
        package_.blob(literal,
                      place_of(operation));  // damage is an error of loading, also where nothing reads it
      else
        function.constants[static_cast<size_t>(slot)] = load_literal(literal, place_of(operation));
    }
    load_arguments(operation, /*codes=*/false, function);
    if (operation.type.rfind("constexpr_", 0) == 0 && !keep_compressed(operation, function)) {
      load_arguments(operation, /*codes=*/true, function);
      fold(operation, function);
    }
    for (const Block& inner : operation.blocks) load_block(inner, function);
  }
  for (const Binding& output : block.outputs)
    load_deferred(output.slot, "output " + quoted(output.name), function);
}

// The codes of a compressed weight, or everything else.
void Model::load_arguments(const Operation& operation, bool codes, LoadedFunction& function) {
  std::string place = place_of(operation);
  for (const Argument& argument : operation.arguments) {
    if (holds_codes(operation, argument.name) != codes) continue;
    for (const Binding& binding : argument.bindings) {
      if (binding.literal)
        function.constants[static_cast<size_t>(binding.slot)] = load_literal(*binding.literal, place);
      else
        load_deferred(binding.slot, place, function);
    }
  }
}

void Model::load_deferred(int slot, const std::string& place, LoadedFunction& function) {
  auto found = in_file_.find(slot);
  Value& value = function.constants[static_cast<size_t>(slot)];
  if (found != in_file_.end() && !value.defined()) value = load_literal(*found->second, place);
}

bool Model::keep_compressed(const Operation& operation, LoadedFunction& function) {
  for (const Argument& argument : operation.arguments) {
    if (!holds_codes(operation, argument.name) || argument.bindings.size() != 1) continue;
    const Binding& binding = argument.bindings[0];
    auto found = in_file_.find(binding.slot);
    const Literal* literal = binding.literal           ? binding.literal.get()
                             : found != in_file_.end() ? found->second
                                                       : nullptr;
    if (!literal || !literal->in_file) return false;
    Blob blob = package_.blob(*literal, place_of(operation));
    auto weight = compressed_weight(operation, literal->type.tensor, blob, package_.file_of(*literal),
                                    function.constants);
    if (!weight) return false;
    parameters_[{literal->file_name, literal->file_offset}] = literal->type.tensor.elements();
    function.constants[static_cast<size_t>(operation.outputs[0].slot)].compressed = std::move(weight);
    return true;
  }
  return false;
}

// Other compressed weights are expanded once; the packed arrays go then.
void Model::fold(const Operation& operation, LoadedFunction& function) {
  Frame frame{function.constants, function.memories, std::vector<Value>(function.constants.size())};
  execute_operation(operation, frame);
  for (const Definition& output : operation.outputs) {
    Value value = frame.values[static_cast<size_t>(output.slot)];
    value.is_constant = true;
    function.constants[static_cast<size_t>(output.slot)] = std::move(value);
  }
  for (const Argument& argument : operation.arguments) {
    for (const Binding& binding : argument.bindings) {
      if (binding.literal) function.constants[static_cast<size_t>(binding.slot)] = Value{};
    }
  }
}

// A byte that is neither 0 nor 1 is no bool to the processor, whatever it says in a file.
array Model::load_tensor(const Literal& literal, const std::string& place) {
  if (literal.type.tensor.dtype != DType::kBool) return load_numbers(literal, place);
  array flags = as_bools(load_numbers(literal, place));
  compute({flags});
  return flags;
}

array Model::load_numbers(const Literal& literal, const std::string& place) {
  const TensorType& type = literal.type.tensor;
  mx::Shape shape(type.shape.begin(), type.shape.end());
  mx::Dtype dtype = type.dtype == DType::kBool ? mx::uint8 : mlx_dtype(type.dtype);
  bool packed = bits_of(type.dtype) < 8;
  if (!literal.in_file) {
    if (packed) return unpack(literal.bytes, type, shape, place);
    return copied_array(row_contiguous_tensor(literal.bytes.data(), shape), dtype);
  }
  Blob blob = package_.blob(literal, place);
  parameters_[{literal.file_name, literal.file_offset}] = type.elements();
  if (packed) return unpack(blob.bytes, type, shape, place);
  return borrowed_array(blob.bytes.data(), shape, dtype, [file = package_.file_of(literal)] {});
}

Value Model::load_literal(const Literal& literal, const std::string& place) {
  Value value;
  value.is_constant = true;
  if (literal.type.kind == ValueType::Kind::kList) {
    std::vector<array> numbers;
    for (const Literal& item : literal.items) {
      value.strings.insert(value.strings.end(), item.strings.begin(), item.strings.end());
      if (item.type.kind == ValueType::Kind::kTensor && item.type.tensor.dtype != DType::kString)
        numbers.push_back(mx::flatten(load_tensor(item, place)));
    }
    if (!numbers.empty()) {
      value.tensor = mx::concatenate(numbers, 0);
      compute({*value.tensor});
    }
  } else if (literal.type.kind == ValueType::Kind::kTensor) {
    if (literal.type.tensor.dtype == DType::kString)
      value.strings = literal.strings;
    else
      value.tensor = load_tensor(literal, place);
  }
  return value;
}

const LoadedFunction* Model::find(const char* name) const {
  if (functions_.empty()) return nullptr;
  if (!name) return &functions_.front();
  for (const LoadedFunction& function : functions_) {
    if (function.program->name == name) return &function;
  }
  return nullptr;
}

}  // namespace tintype
