#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/package.h"
#include "run/value.h"
#include "support/json.h"

namespace tintype {

/** One function of a loaded model: what goes in and out, its constants, and what its ops keep. */
struct LoadedFunction {
  const Function* program = nullptr;
  std::vector<Feature> inputs, outputs, states;
  std::vector<int> input_slots;                             // of `inputs`, in the program
  std::vector<DType> input_dtypes;                          // likewise; the description may have another
  std::map<std::string, size_t, std::less<>> input_places;  // in `inputs`, by name
  std::vector<size_t> output_places;                        // of `outputs`, in what the program returns
  std::vector<int> state_slots;                             // of `states`, likewise
  std::vector<Value> constants;                             // by slot
  std::vector<OpMemory> memories;
  bool is_small = false;  // see monitor.h
};

/** The outputs of one call, each row-contiguous and in memory of its own. */
struct Result {
  std::vector<std::string> names;
  std::vector<DType> dtypes;
  std::vector<mlx::core::array> tensors;
  std::optional<Json> statistics;
};

class Monitor;
class State;

/** One call, as the C ABI's `predict` has it. */
struct Request {
  const char* function = nullptr;
  const tt_tensor* inputs = nullptr;
  size_t count = 0;
  State* state = nullptr;
  tt_progress progress = nullptr;
  void* progress_context = nullptr;
  bool collects_statistics = false;
  uint64_t memory_limit = 0;  // bytes that the results may take at once; 0: what the machine has
};

/** A checked package that is ready to run. Constants are MLX arrays over the mapped weight file. */
class Model {
 public:
  static std::unique_ptr<Model> load(Package package);

  size_t function_count() const { return functions_.size(); }
  /** Function `index`, the default one first. */
  const LoadedFunction& function(size_t index) const { return functions_[index]; }
  /** The function of that name (nullptr: the default one), or nullptr. */
  const LoadedFunction* find(const char* name) const;

  /** The same, refused where there is none. */
  const LoadedFunction& named(const char* name) const;

  /** Runs a function. Inputs are read during the call only. */
  Result predict(const Request& request);

  /** A number that no other model of this process has. */
  uint64_t identity() const { return identity_; }

  /** What `model_metadata` of the C ABI promises. */
  Json metadata() const;

 private:
  void load_function(const FunctionDescription& description);
  /** What `named` gives, to run it: its ops keep memories. */
  LoadedFunction& runnable(const char* name);
  Result run(LoadedFunction& function, const Request& request, Monitor* monitor);
  void load_constants(LoadedFunction& function);
  void load_block(const Block& block, LoadedFunction& function);
  void load_arguments(const Operation& operation, bool codes, LoadedFunction& function);
  bool keep_compressed(const Operation& operation, LoadedFunction& function);
  void load_deferred(int slot, const std::string& place, LoadedFunction& function);
  void fold(const Operation& operation, LoadedFunction& function);
  Value load_literal(const Literal& literal, const std::string& place);
  mlx::core::array load_tensor(const Literal& literal, const std::string& place);
  mlx::core::array load_numbers(const Literal& literal, const std::string& place);

  const uint64_t identity_ = next_identity();
  static uint64_t next_identity();
  Package package_;
  std::vector<LoadedFunction> functions_;
  // Constants of the function that is being loaded that lie in a file. Those of fewer than 8 bits are loaded,
  // in bytes, only if something other than a compressed weight reads them.
  std::map<int, const Literal*> in_file_;
  std::map<std::pair<std::string, uint64_t>, int64_t> parameters_;  // elements a blob, each counted once
};

/** Checks the inputs of a call against their description and makes arrays of them, in the order of `inputs`.
 */
std::vector<mlx::core::array> bind_inputs(const LoadedFunction& function, const tt_tensor* inputs,
                                          size_t count);

}  // namespace tintype
