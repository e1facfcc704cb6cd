#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mlx/array.h"

namespace tintype {

namespace kernels {
struct CompressedWeight;
}

/** What a name stands for while a function runs: a tensor or text. */
struct Value {
  std::optional<mlx::core::array> tensor;
  std::vector<std::string> strings;
  uint64_t counted_bytes = 0;  // in the frame's live_bytes
  bool is_constant = false;
  bool is_state = false;
  bool is_input = false;                                                  // the caller's, as it was handed in
  std::shared_ptr<const kernels::CompressedWeight> compressed = nullptr;  // instead of a constant's tensor

  bool defined() const { return tensor.has_value() || !strings.empty(); }
};

/** What one op keeps from call to call: constants in the layout that it computes with. */
using OpMemory = std::map<std::string, mlx::core::array>;

class Monitor;

/** The values of one call of a function: constants shared by all calls, and this call's own. */
struct Frame {
  const std::vector<Value>& constants;
  std::vector<OpMemory>& memories;
  std::vector<Value> values;
  Monitor* monitor = nullptr;    // of a call that somebody watches
  uint64_t live_bytes = 0;       // of the results in `values`
  uint64_t available_bytes = 0;  // for them; 0 until it matters

  const Value& at(int slot) const {
    const Value& constant = constants[static_cast<size_t>(slot)];
    return constant.defined() ? constant : values[static_cast<size_t>(slot)];
  }
};

}  // namespace tintype
