#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mlx/mlx.h"
#include "program/program.h"
#include "run/value.h"

namespace tintype {

namespace mx = mlx::core;
using mx::array;

/** True where MLX computes on the CPU: see precision.h for what follows from it. */
bool computes_on_cpu();

/** MLX's type of a MIL element type; sub-byte integers live in bytes. */
mx::Dtype mlx_dtype(DType dtype);

/** One execution of one op: its arguments by name, what it declares, what it may keep. */
class Call {
 public:
  Call(const Operation& operation, Frame& frame) : operation_(operation), frame_(frame) {}

  const Operation& operation() const { return operation_; }

  bool has(std::string_view name) const;
  /** The tensor argument as it is. */
  const array& tensor(std::string_view name) const;
  /** All tensors of a variadic argument. */
  std::vector<array> tensors(std::string_view name) const;
  /** The tensor argument in the type that arithmetic is done in (precision.h); constants are converted once.
   */
  array wide(std::string_view name);
  /** The same if the argument is given. */
  std::optional<array> wide_or_none(std::string_view name);

  /** Parameters: read from constants, or evaluated if the program computes them. */
  std::vector<int> integers(std::string_view name) const;
  std::vector<int> integers_or(std::string_view name, std::vector<int> fallback) const;
  int integer(std::string_view name) const;
  int integer_or(std::string_view name, int fallback) const;
  std::vector<double> numbers(std::string_view name) const;
  /** The elements of a tensor, evaluated. */
  std::vector<double> values(const array& x) const;
  double number(std::string_view name) const;
  double number_or(std::string_view name, double fallback) const;
  std::vector<bool> flags_or(std::string_view name, size_t count, bool fallback) const;
  bool flag_or(std::string_view name, bool fallback) const;
  std::string text(std::string_view name) const;
  std::string text_or(std::string_view name, std::string fallback) const;
  /** Elements of a list or tensor. */
  int count(std::string_view name) const;
  /** A list of lengths some of which may be texts, which stand for what is not known yet: -1. */
  std::vector<int> lengths(std::string_view name) const;

  /** An axis parameter within [0, rank). */
  int axis_or(std::string_view name, int fallback, size_t rank) const;
  std::vector<int> axes_or(std::string_view name, std::vector<int> fallback, size_t rank) const;
  int checked_axis(std::string_view name, int axis, size_t rank) const;

  /** What `make` returns, made once if every argument it depends on is constant, else on every call. */
  array keep(const std::string& key, std::string_view argument, const std::function<array()>& make);

  /** True if the arguments `names` are float32 or float16 on the CPU and the output is too:
   * kernels/primitives.h then computes from the stored type to the declared one, without a conversion before
   * or after. */
  bool is_ours(std::initializer_list<std::string_view> names) const;

  /** The declared type of floats, if the engine's kernels make it, else float32: the executor converts. */
  mx::Dtype float_dtype() const;

  bool is_constant(std::string_view name) const;
  /** True if nothing computes the value: a constant, or the caller's as it was handed in. */
  bool is_given(std::string_view name) const;
  /** True if the value is made in this block and nothing else reads it. */
  bool is_only_reader(std::string_view name) const;
  /** Of the first output. */
  const TensorType& output_type() const;
  mx::Dtype output_dtype() const;

  /** Replaces the values of the state that is the argument `name`. */
  void write_state(std::string_view name, const array& data);

  /** Refuses if the call is cancelled; between the steps of ops that take long. */
  void poll() const;
  /** Refuses unless `bytes` beside what is live fit into memory; before an op takes them by itself. */
  void require_memory(uint64_t bytes) const;

  /** `size` as an axis' length; refuses what no axis can have. */
  int checked_length(int64_t size) const;

  /** Runs a nested block with these inputs. */
  std::vector<array> run_block(size_t index, const std::vector<array>& inputs);

  /** Refuses with "[op_type "name"] problem, got X, expected Y. Remedy". */
  [[noreturn]] void fail(const std::string& problem, const std::string& got = "",
                         const std::string& expected = "", const std::string& remedy = "") const;

 private:
  const Argument* find(std::string_view name) const;
  const Value& value(std::string_view name) const;

  const Operation& operation_;
  Frame& frame_;
};

/** "[2, 3]" of an MLX shape. */
std::string describe_shape(const mx::Shape& shape);

/** A shape of ints, checked for overflow by whoever built them. */
mx::Shape to_shape(const std::vector<int>& dimensions);

/** `value` as a tensor of x's type, so that it does not promote x. */
array scalar_like(double value, const array& x);

}  // namespace tintype
