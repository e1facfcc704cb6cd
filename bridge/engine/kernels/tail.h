#pragma once

// Element-wise functions that other primitives compute on their results while these are in the cache.
// Internal to kernels/.
#include <memory>
#include <optional>
#include <vector>

#include "kernels/cpu_primitive.h"
#include "kernels/spread.h"

namespace tintype::kernels {

constexpr size_t kLongestTail = 8;

/** One function: of the value so far, or of it and an operand. */
struct Step {
  bool is_binary = false;
  Unary unary = Unary::kCopy;
  float a = 0, b = 0;
  Binary binary = Binary::kAdd;
  bool swapped = false;  // the operand comes first
  bool half = false;     // the value is rounded to float16 after it
};

/** How many of the steps have an operand. */
size_t count_operands(const std::vector<Step>& steps);

/** A piece of a value: in `rounded` if `half`, else in `wide`; room for both. */
struct Piece {
  float* wide;
  uint16_t* rounded;
  bool half;
};

/** Steps with their operands' addresses, ready to compute. */
class Tail {
 public:
  Tail() = default;
  /** `operands`, dense and broadcast to the shape of `out`, belong to the binary steps in order. */
  Tail(const std::vector<Step>& steps, const array* operands, const array& out);

  bool empty() const { return steps_.empty(); }
  /** Elements [place, place + count) of the value, in row order and at most kPiece; float16 if the last step
   * rounds. */
  void apply(int64_t place, int64_t count, Piece& value) const;
  /** Any number of them, in place. */
  void apply(int64_t place, int64_t count, float* value) const;

 private:
  struct Side {
    const void* data;
    bool half;
    Spread places;
  };

  void meet(const Step& step, const Side& side, int64_t place, int64_t count, const Piece& value) const;

  std::vector<Step> steps_;
  std::vector<Side> sides_;
};

/** A primitive whose results go through steps before they are rounded and stored. The steps' operands are its
 * last inputs. */
class Tailed : public CpuPrimitive {
 public:
  Tailed(mx::Stream stream, std::vector<Step> steps) : CpuPrimitive(stream), steps_(std::move(steps)) {}

  /** The same work with these steps behind it. */
  virtual std::shared_ptr<Tailed> followed_by(std::vector<Step> steps) = 0;
  const std::vector<Step>& steps() const { return steps_; }
  /** False where all work is in the steps. */
  virtual bool computes() const { return true; }

 protected:
  /** How many inputs are the primitive's own. */
  size_t own_inputs(const std::vector<array>& inputs) const { return inputs.size() - count_operands(steps_); }
  Tail tail(const std::vector<array>& inputs, const array& out) const {
    return Tail(steps_, inputs.data() + own_inputs(inputs), out);
  }

 private:
  std::vector<Step> steps_;
};

/** What an array that is not computed yet will be: a primitive's own inputs, its steps, their operands. */
struct Recipe {
  std::shared_ptr<Tailed> maker;
  std::vector<array> inputs;
  std::vector<Step> steps;
  std::vector<array> operands;

  /** `x` as it is, with steps to come. */
  static Recipe from(const array& x);
  /** The recipe's value: to the bit what the steps would give one by one. */
  array made(const mx::Shape& shape, mx::Dtype dtype) const;
};

/** The recipe of what a tailed primitive makes; nothing for other arrays. */
std::optional<Recipe> recipe_of_tailed(const array& x);

}  // namespace tintype::kernels
