#pragma once

#include <optional>
#include <vector>

#include "kernels/cpu_primitive.h"

namespace tintype::kernels {

constexpr size_t kLongestChain = 8;

/** One function in a chain: of the value so far, or of it and an operand. */
struct Step {
  bool is_binary;
  Unary unary;
  float a, b;
  Binary binary;
  size_t operand;
  bool swapped;  // the operand comes first
  bool half;     // the value is rounded to float16 after it
};

/** Functions one after the other, from a dense array to one of the same shape; dense operands broadcast. */
struct Recipe {
  array base;
  std::vector<Step> steps;
  std::vector<array> operands;
};

/** The recipe's value, computed in one pass over memory: to the bit what its steps would give one by one. */
array chained(Recipe recipe, mx::Dtype dtype);

/** What `chained` made; nothing for other arrays. */
std::optional<Recipe> recipe_of_chain(const array& x);

}  // namespace tintype::kernels
