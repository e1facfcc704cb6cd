#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

array select(Call& call) {
  return mx::where(mx::astype(call.tensor("cond"), mx::bool_), call.tensor("a"), call.tensor("b"));
}

bool is_true(Call& call, array predicate) {
  if (predicate.size() != 1)
    call.fail("the condition is no single value", describe_shape(predicate.shape()), "[]");
  predicate = mx::astype(predicate, mx::bool_);
  predicate.eval();
  return predicate.item<bool>();
}

std::vector<array> cond(Call& call) {
  return call.run_block(is_true(call, call.tensor("pred")) ? 0 : 1, {});
}

// Block 0 is the condition, block 1 the body; the values are evaluated every round so that no graph piles up.
std::vector<array> while_loop(Call& call) {
  constexpr int kMostRounds = 1 << 24;
  std::vector<array> values = call.tensors("loop_vars");
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<array> condition = call.run_block(0, values);
    if (condition.empty()) call.fail("the condition's block returns nothing");
    if (!is_true(call, condition[0])) return values;
    values = call.run_block(1, values);
    mx::eval(values);
  }
  call.fail("the loop does not end", std::to_string(kMostRounds) + " rounds");
}

// The loader turns constants into values; this runs only if one could not be.
std::vector<array> constant(Call& call) {
  call.fail("the constant has no value that can be computed with");
}

}  // namespace

OpTable control_flow_ops() {
  return {
      {"cond", cond, "pred", 2},
      {"const", constant, ""},
      {"select", select, "cond a b"},
      {"while_loop", while_loop, "loop_vars*", 2},
  };
}

}  // namespace tintype
