#include "fusion/fuse.h"
#include "kernels/primitives.h"

namespace tintype {

namespace {

// x · sigmoid(x), or x · sigmoid(a · x).
std::vector<size_t> match_silu(const Graph& graph, const Operation& root) {
  for (auto [gate, value] : {std::pair{"x", "y"}, std::pair{"y", "x"}}) {
    const Operation* sigmoid = graph.maker(root, gate, "sigmoid");
    int x = slot_of(root, value);
    const TensorType* type = graph.float_type(x);
    if (!sigmoid || !type) continue;
    std::vector<size_t> found = {graph.place(*sigmoid), graph.place(root)};
    if (slot_of(*sigmoid, "x") == x) return found;
    const Operation* slope = graph.maker(*sigmoid, "x", "mul");
    if (!slope || !graph.float_type(slope->outputs[0].slot)) continue;
    if (graph.float_type(slope->outputs[0].slot)->shape != type->shape) continue;
    for (auto [left, right] : {std::pair{"x", "y"}, std::pair{"y", "x"}}) {
      if (slot_of(*slope, left) != x || !graph.number(slot_of(*slope, right))) continue;
      found.push_back(graph.place(*slope));
      return found;
    }
  }
  return {};
}

std::optional<array> run_silu(std::vector<Call>& parts, bool only_reader) {
  Call &first = parts.front(), &last = parts.back();
  // The operand of the product that is not its gate.
  int gate = parts[parts.size() - 2].operation().outputs[0].slot;
  const char* name = slot_of(last.operation(), "x") == gate ? "y" : "x";
  if (!last.is_ours({name})) return std::nullopt;
  double slope = 1;
  if (parts.size() == 3) slope = first.number(first.is_constant("x") ? "x" : "y");
  return kernels::unary(kernels::Unary::kSigmoidLinear, last.tensor(name), last.output_dtype(),
                        static_cast<float>(slope), 0, {only_reader});
}

}  // namespace

const FusionTable& activation_fusions() {
  static const auto* table = new FusionTable{{"silu", "mul", match_silu, run_silu}};
  return *table;
}

}  // namespace tintype
