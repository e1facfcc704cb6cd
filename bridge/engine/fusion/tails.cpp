#include "fusion/tails.h"

#include <algorithm>
#include <set>
#include <string>

namespace tintype {

namespace {

const std::set<std::string, std::less<>> kCurves = {
    "abs",  "cast",  "clip",  "erf",     "exp",  "gelu", "inverse", "leaky_relu", "linear_activation",
    "relu", "relu6", "rsqrt", "sigmoid", "silu", "sqrt", "square",  "tanh"};
const std::set<std::string, std::less<>> kMeetings = {"add", "maximum", "minimum", "mul", "real_div", "sub"};
const std::set<std::string, std::less<>> kNorms = {"group_norm", "rms_norm", "scaled_rms_norm"};

bool neighbours(const std::vector<int>& axes) {
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != axes[i - 1] + 1) return false;
  }
  return true;
}

// The other operand of an op that reads `slot` once; -1 where there is none.
int operand(const Operation& operation, int slot) {
  int x = slot_of(operation, "x"), y = slot_of(operation, "y");
  return x == slot ? y : x;
}

// True if a tensor of that shape has, at each place of `whole`, one value.
bool spreads(const TensorType& type, const TensorType& whole) {
  size_t rank = type.shape.size(), full = whole.shape.size();
  if (rank > full) return false;
  for (size_t i = 1; i <= rank; ++i) {
    if (type.shape[rank - i] != 1 && type.shape[rank - i] != whole.shape[full - i]) return false;
  }
  return true;
}

}  // namespace

bool takes_tail(const Graph& graph, const Operation& operation) {
  if (operation.outputs.size() != 1 || !graph.float_type(operation.outputs[0].slot)) return false;
  if (kNorms.count(operation.type)) return true;
  const TensorType* x = graph.float_type(slot_of(operation, "x"));
  if (!x) return false;
  if (operation.type == "linear") return graph.float_type(slot_of(operation, "weight"));
  if (operation.type == "matmul") return graph.float_type(slot_of(operation, "y"));
  if (operation.type == "conv") return x->shape.size() == 4 && graph.float_type(slot_of(operation, "weight"));
  if (operation.type == "instance_norm") return true;
  if (operation.type != "layer_norm") return false;
  auto axes = graph.integers(operation, "axes");
  return axes && neighbours(*axes);
}

const Operation* next_step(const Graph& graph, const Operation& operation) {
  int slot = operation.outputs[0].slot;
  const Operation* next = graph.only_reader(slot);
  const TensorType* type = graph.float_type(slot);
  if (!next || !type || next->outputs.size() != 1) return nullptr;
  const TensorType* result = graph.float_type(next->outputs[0].slot);
  if (!result || result->shape != type->shape) return nullptr;
  if (kCurves.count(next->type)) return next;
  if (!kMeetings.count(next->type)) return nullptr;
  const TensorType* other = graph.float_type(operand(*next, slot));
  return other && spreads(*other, *type) ? next : nullptr;
}

}  // namespace tintype
