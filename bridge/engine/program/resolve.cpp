#include <algorithm>
#include <set>
#include <unordered_map>

#include "ops/registry.h"
#include "program/program.h"
#include "support/error.h"

namespace tintype {

namespace {

constexpr const char* kDamaged = "Convert or download the package again.";

[[noreturn]] void refuse_format(const std::string& place, const std::string& problem,
                                const std::string& got = "", const std::string& expected = "") {
  refuse(TT_ERROR_FORMAT, {place, problem, got, expected, kDamaged});
}

void check_type(const ValueType& type, const std::string& place) {
  if (type.kind == ValueType::Kind::kNone) refuse_format(place, "a value has no type");
  bool state = type.kind == ValueType::Kind::kState;
  if (state && !type.tensor.is_static())
    refuse_format(place, "a state's shape is not fixed", describe_kind(type));
  if (type.kind != ValueType::Kind::kTensor && !state) return;
  DType dtype = type.tensor.dtype;
  if (bits_of(dtype) == 0 && dtype != DType::kString) {
    refuse(TT_ERROR_UNSUPPORTED, {place, "an element type is unknown here", name_of(dtype),
                                  "one of MIL's up to iOS18", "Convert the model for iOS18 or earlier."});
  }
}

void check_literal(const Literal& literal, const std::string& place) {
  check_type(literal.type, place);
  if (literal.type.kind != ValueType::Kind::kTensor) {
    for (const Literal& item : literal.items) check_literal(item, place);
    return;
  }
  const TensorType& type = literal.type.tensor;
  if (!type.is_static()) refuse_format(place, "a constant's shape is not fixed", describe(type));
  if (type.dtype == DType::kString) {
    if (literal.in_file || static_cast<int64_t>(literal.strings.size()) != type.elements()) {
      refuse_format(place, "a text constant has another count", std::to_string(literal.strings.size()),
                    std::to_string(type.elements()));
    }
    return;
  }
  if (literal.in_file) return;  // the blob is checked against the file when the model is loaded
  int64_t expected = (type.elements() * bits_of(type.dtype) + 7) / 8;
  if (static_cast<int64_t>(literal.bytes.size()) != expected) {
    refuse_format(place, "a constant's value does not fill its type",
                  std::to_string(literal.bytes.size()) + " bytes",
                  std::to_string(expected) + " for " + describe(type));
  }
}

/** Gives every definition of one function a slot and every use the slot of its definition. */
class FunctionResolver {
 public:
  explicit FunctionResolver(Function& function) : function_(function) {}

  void run() {
    std::string place = "function " + quoted(function_.name);
    if (!function_.block.inputs.empty()) {
      refuse_format(place, "its block takes inputs of its own", std::to_string(function_.block.inputs.size()),
                    "0");
    }
    for (Definition& input : function_.inputs) define(input, place);
    std::set<int> defined;
    for (Definition& input : function_.inputs) {
      if (input.type.kind == ValueType::Kind::kState)
        states_.insert(input.slot);
      else
        defined.insert(input.slot);
    }
    resolve(function_.block, defined, 0);
    function_.slot_count = next_slot_;
  }

 private:
  static constexpr int kDeepestBlock = 16;

  void define(Definition& definition, const std::string& place) {
    check_type(definition.type, place);
    if (definition.name.empty()) refuse_format(place, "an output has no name");
    definition.slot = next_slot_++;
    auto [entry, inserted] = slots_.try_emplace(definition.name, definition.slot);
    if (!inserted) {
      shadowed_.emplace_back(definition.name, entry->second);
      entry->second = definition.slot;
    } else {
      shadowed_.emplace_back(definition.name, -1);
    }
  }

  void use(Binding& binding, const std::string& place) {
    if (binding.literal) {
      check_literal(*binding.literal, place);
      binding.slot = next_slot_++;
      return;
    }
    auto found = slots_.find(binding.name);
    if (found == slots_.end())
      refuse_format(place, "it reads a value that nothing before it defines", quoted(binding.name));
    binding.slot = found->second;
  }

  void check_arguments(const Operation& operation, const std::string& place) {
    std::set<std::string> given;
    for (const Argument& argument : operation.arguments) {
      const Parameter* parameter = operation.entry->find(argument.name);
      if (!parameter) {
        refuse(TT_ERROR_UNSUPPORTED,
               {place, "unknown parameter " + quoted(argument.name), "",
                operation.entry->describe_parameters(), "Convert the model for iOS18 or earlier."});
      }
      if (!given.insert(argument.name).second)
        refuse_format(place, "parameter " + quoted(argument.name) + " comes twice");
      bool may_be_empty = parameter->variadic && parameter->optional;
      if ((argument.bindings.empty() && !may_be_empty) ||
          (argument.bindings.size() > 1 && !parameter->variadic)) {
        refuse_format(place, "parameter " + quoted(argument.name) + " has a wrong count of values",
                      std::to_string(argument.bindings.size()), parameter->variadic ? "1 or more" : "1");
      }
    }
    for (const Parameter& parameter : operation.entry->parameters) {
      if (!parameter.optional && !given.count(parameter.name)) {
        refuse_format(place, "parameter " + quoted(parameter.name) + " is missing");
      }
    }
  }

  void check_const(const Operation& operation, const std::string& place) {
    if (!operation.value) refuse_format(place, "the constant has no value");
    if (operation.outputs.size() != 1) {
      refuse_format(place, "wrong count of outputs", std::to_string(operation.outputs.size()), "1");
    }
    check_literal(*operation.value, place);
    const ValueType &declared = operation.outputs[0].type, &stored = operation.value->type;
    bool tensor = declared.kind == ValueType::Kind::kTensor;
    bool same = declared.kind == stored.kind && (!tensor || (declared.tensor.dtype == stored.tensor.dtype &&
                                                             declared.tensor.shape == stored.tensor.shape));
    if (!same) {
      refuse_format(place, "the constant is not what its output declares", describe_kind(stored),
                    describe_kind(declared));
    }
  }

  void find_entry(Operation& operation, const std::string& place) {
    operation.entry = find_op(operation.type);
    if (operation.entry) return;
    std::string close = closest_op(operation.type);
    refuse(TT_ERROR_UNSUPPORTED,
           {place, "unknown op", quoted(operation.type), "an op of the engine's table",
            close.empty() ? "Convert the model without it, or add it as docs/adding_an_op.md describes."
                          : "Did the converter mean " + quoted(close) + "?"});
  }

  void resolve(Operation& operation, int depth, std::set<int>& used, std::set<int>& defined) {
    std::string place = place_of(operation);
    operation.index = function_.operation_count++;
    find_entry(operation, place);
    if (operation.type == "const") {
      operation.arguments.clear();  // nothing reads them
      check_const(operation, place);
    } else {
      if (operation.value)
        refuse_format(place, "only a const may have a value");  // the loader trusts check_const
      check_arguments(operation, place);
    }
    if (operation.outputs.size() < operation.entry->least_outputs) {
      refuse_format(place, "wrong count of outputs", std::to_string(operation.outputs.size()),
                    std::to_string(operation.entry->least_outputs) + " or more");
    }
    for (Argument& argument : operation.arguments) {
      for (Binding& binding : argument.bindings) {
        use(binding, place);
        used.insert(binding.slot);
      }
    }
    if (operation.blocks.size() != static_cast<size_t>(operation.entry->blocks)) {
      refuse_format(place, "wrong count of blocks", std::to_string(operation.blocks.size()),
                    std::to_string(operation.entry->blocks));
    }
    for (Block& block : operation.blocks) {
      size_t mark = shadowed_.size();
      std::set<int> inner;
      for (Definition& input : block.inputs) {
        define(input, place);
        inner.insert(input.slot);
      }
      std::set<int> reads = resolve(block, inner, depth + 1);
      used.insert(reads.begin(), reads.end());
      leave(mark);
    }
    for (Definition& output : operation.outputs) {
      define(output, place);
      defined.insert(output.slot);
    }
  }

  // Ends a scope: names mean again what they meant before it.
  void leave(size_t mark) {
    while (shadowed_.size() > mark) {
      auto [name, slot] = shadowed_.back();
      if (slot < 0)
        slots_.erase(name);
      else
        slots_[name] = slot;
      shadowed_.pop_back();
    }
  }

  // Returns what the block reads from outside. `defined` are its inputs.
  std::set<int> resolve(Block& block, std::set<int> defined, int depth) {
    if (depth > kDeepestBlock) {
      refuse(TT_ERROR_UNSUPPORTED,
             {"function " + quoted(function_.name), "blocks nest too deeply", std::to_string(depth),
              "at most " + std::to_string(kDeepestBlock), "Flatten the model's control flow."});
    }
    std::unordered_map<int, size_t> last_use;
    std::set<int> outside;
    for (size_t i = 0; i < block.operations.size(); ++i) {
      std::set<int> used, made;
      resolve(block.operations[i], depth, used, made);
      for (int slot : made) last_use[slot] = i;
      defined.insert(made.begin(), made.end());
      for (int slot : used) {
        if (defined.count(slot))
          last_use[slot] = i;
        else
          outside.insert(slot);
      }
    }
    for (Binding& output : block.outputs) {
      use(output, "function " + quoted(function_.name));
      if (!defined.count(output.slot)) outside.insert(output.slot);
      last_use.erase(output.slot);
    }
    for (int slot : states_) last_use.erase(slot);  // they outlive the call
    for (auto [slot, i] : last_use) block.operations[i].releases.push_back(slot);
    return outside;
  }

  Function& function_;
  int next_slot_ = 0;
  std::set<int> states_;
  std::unordered_map<std::string, int> slots_;
  std::vector<std::pair<std::string, int>> shadowed_;
};

}  // namespace

void resolve_program(Program& program) {
  std::set<std::string> names;
  for (Function& function : program.functions) {
    if (!names.insert(function.name).second) {
      refuse_format("function " + quoted(function.name), "the program defines it twice");
    }
    FunctionResolver(function).run();
  }
  if (program.functions.empty()) refuse_format("model.mlmodel", "the program has no function");
}

}  // namespace tintype
