#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mlx/array.h"

namespace tintype {

class Call;
using mlx::core::array;

/** One parameter of an op: "x", "bias?" (may be left out), "values*" (a list of one or more), "masks*?"
 * (both). */
struct Parameter {
  std::string name;
  bool optional = false;
  bool variadic = false;
};

using OneOutput = array (*)(Call& call);
using ManyOutputs = std::vector<array> (*)(Call& call);

/** A line of the op table: the op's name in MIL, its function, its parameters over all opsets. */
struct OpEntry {
  OpEntry(const char* name, OneOutput run, const char* parameters);
  OpEntry(const char* name, ManyOutputs run, const char* parameters, int blocks = 0,
          size_t least_outputs = 1);

  const Parameter* find(std::string_view name) const;
  /** "x weight bias?", for errors. */
  std::string describe_parameters() const;

  std::string name;
  OneOutput run_one = nullptr;
  ManyOutputs run_many = nullptr;
  std::vector<Parameter> parameters;
  int blocks = 0;  // nested blocks that the op must have
  size_t least_outputs = 1;
};

using OpTable = std::vector<OpEntry>;

/** The entry of an op, or nullptr. */
const OpEntry* find_op(std::string_view name);

/** The name of the op that `name` may be a misspelling of, or "". */
std::string closest_op(std::string_view name);

/** All ops' names, sorted. */
std::vector<std::string> op_names();

/** The families' tables, one a file of the same name. */
OpTable activation_ops();
OpTable classify_ops();
OpTable constexpr_ops();
OpTable control_flow_ops();
OpTable conv_ops();
OpTable elementwise_binary_ops();
OpTable elementwise_unary_ops();
OpTable image_resizing_ops();
OpTable linear_ops();
OpTable normalization_ops();
OpTable pool_ops();
OpTable quantization_ops();
OpTable random_ops();
OpTable recurrent_ops();
OpTable reduction_ops();
OpTable scatter_gather_ops();
OpTable states_ops();
OpTable tensor_operation_ops();
OpTable tensor_transformation_ops();
OpTable transformers_ops();

}  // namespace tintype
