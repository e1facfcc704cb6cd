#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "program/program.h"
#include "run/value.h"

namespace tintype {

/** What is known of a function's values by slot. */
struct ValueTable {
  std::vector<const TensorType*> types;  // null: no tensor
  std::vector<int> uses;                 // by arguments and as results of blocks
};

ValueTable value_table(const Function& function);

/** The slot of an argument with one value; -1 if it is not given. */
int slot_of(const Operation& operation, std::string_view argument);

/** One block of a loaded function as patterns look at it. An op's place is its index in the block. */
class Graph {
 public:
  Graph(const Block& block, const ValueTable& values, const std::vector<Value>& constants);

  size_t size() const { return block_.operations.size(); }
  const Operation& at(size_t place) const { return block_.operations[place]; }

  /** The op of this block that makes a value, and its place; nothing for constants, inputs, outer values. */
  const Operation* maker(int slot) const;
  size_t place(const Operation& operation) const;
  /** The maker of an argument if it is of that type, else null. */
  const Operation* maker(const Operation& reader, std::string_view argument, std::string_view type) const;
  /** The one op of this block that reads the value, if that happens once. */
  const Operation* only_reader(int slot) const;
  /** How often a value is read, in all blocks. */
  int uses(int slot) const { return values_.uses[static_cast<size_t>(slot)]; }

  /** The type of a tensor of fixed shape that is float16 or float32; else null. */
  const TensorType* float_type(int slot) const;

  bool is_constant(int slot) const;
  /** Constant parameters; nothing if they are left out or computed. */
  std::optional<std::vector<int>> integers(const Operation& operation, std::string_view argument) const;
  std::optional<bool> flag(const Operation& operation, std::string_view argument) const;
  /** The one number of a constant; nothing if it has several. */
  std::optional<float> number(int slot) const;

 private:
  const Block& block_;
  const ValueTable& values_;
  const std::vector<Value>& constants_;
  std::unordered_map<int, size_t> makers_;                // by slot
  std::unordered_map<int, std::vector<size_t>> readers_;  // by slot, one entry a reading
};

}  // namespace tintype
