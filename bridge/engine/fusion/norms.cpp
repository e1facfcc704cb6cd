#include "fusion/fuse.h"
#include "kernels/primitives.h"

namespace tintype {

namespace {

using kernels::NormPlan;

Call* part(std::vector<Call>& parts, std::string_view type) {
  for (Call& each : parts) {
    if (each.operation().type == type) return &each;
  }
  return nullptr;
}

// RMS norm over what a mean sums up.
std::optional<NormPlan> plan_of(Call& mean, const array& x) {
  auto plan = NormPlan::over(x, mean.axes_or("axes", {}, x.ndim()), 0);
  if (plan) plan->centered = false;
  return plan;
}

// Group norm: an instance norm of x laid out with a group a channel.
std::vector<size_t> match_group_norm(const Graph& graph, const Operation& root) {
  const Operation* norm = graph.maker(root, "x", "instance_norm");
  const Operation* split = norm ? graph.maker(*norm, "x", "reshape") : nullptr;
  if (!split || slot_of(*norm, "gamma") >= 0 || slot_of(*norm, "beta") >= 0) return {};
  const TensorType* given = graph.float_type(slot_of(*split, "x"));
  const TensorType* groups = graph.float_type(norm->outputs[0].slot);
  const TensorType* result = graph.float_type(root.outputs[0].slot);
  if (!given || !groups || !result || groups->shape.size() < 3 || given->shape != result->shape) return {};
  return {graph.place(*split), graph.place(*norm), graph.place(root)};
}

std::optional<array> run_group_norm(std::vector<Call>& parts, bool) {
  const array& x = parts[0].tensor("x");
  const auto& groups = parts[1].output_type().shape;
  bool fits = parts[1].is_ours({}) && parts[0].is_ours({"x"}) && x.size() > 0 &&
              static_cast<int64_t>(x.size()) == parts[1].output_type().elements() &&
              parts[2].output_type().elements() == static_cast<int64_t>(x.size());
  if (!fits) return std::nullopt;
  NormPlan plan{.length = static_cast<int64_t>(x.size()) / (groups[0] * groups[1]),
                .epsilon = static_cast<float>(parts[1].number_or("epsilon", 1e-5))};
  return kernels::normalize(x, plan, std::nullopt, std::nullopt, parts[1].output_dtype());
}

bool squares(const Operation& operation, int slot) {
  if (operation.type == "square") return slot_of(operation, "x") == slot;
  return operation.type == "mul" && slot_of(operation, "x") == slot && slot_of(operation, "y") == slot;
}

// The op that gives mean(v²) if that is what makes the argument: reduce_mean, with its square in `found`.
const Operation* mean_square(const Graph& graph, const Operation& reader, std::string_view argument, int v,
                             std::vector<size_t>& found) {
  const Operation* mean = graph.maker(reader, argument, "reduce_mean");
  const Operation* square = mean ? graph.maker(slot_of(*mean, "x")) : nullptr;
  if (!square || !squares(*square, v) || graph.flag(*mean, "keep_dims") != true) return nullptr;
  if (!graph.integers(*mean, "axes")) return nullptr;
  found.push_back(graph.place(*mean));
  found.push_back(graph.place(*square));
  return mean;
}

// v · rsqrt(mean(v²) + ε), v itself or a wider copy of a value that only this norm reads.
std::vector<size_t> match_rms_norm(const Graph& graph, const Operation& root) {
  for (auto [scale, value] : {std::pair{"x", "y"}, std::pair{"y", "x"}}) {
    const Operation* root_mean = graph.maker(root, scale, "rsqrt");
    int v = slot_of(root, value);
    const TensorType* type = graph.float_type(v);
    std::vector<size_t> found = {graph.place(root)};
    if (!root_mean || !type || !mean_square(graph, *root_mean, "x", v, found)) continue;
    found.push_back(graph.place(*root_mean));
    const TensorType* result = graph.float_type(root.outputs[0].slot);
    if (!result || result->shape != type->shape) continue;
    const Operation* wide = graph.maker(v);
    bool sole = wide && wide->type == "cast" && graph.uses(v) == (graph.at(found[2]).type == "mul" ? 3 : 2);
    if (sole && graph.float_type(slot_of(*wide, "x")) && type->dtype == DType::kFloat32)
      found.push_back(graph.place(*wide));
    return found;
  }
  return {};
}

std::optional<array> run_rms_norm(std::vector<Call>& parts, bool) {
  Call &first = parts.front(), &last = parts.back();
  const array& x = first.tensor("x");
  Call& root_mean = *part(parts, "rsqrt");
  auto plan = plan_of(*part(parts, "reduce_mean"), x);
  if (!plan || !first.is_ours({"x"}) || !last.is_ours({})) return std::nullopt;
  plan->epsilon = static_cast<float>(root_mean.number_or("epsilon", 1e-12));
  return kernels::normalize(x, *plan, std::nullopt, std::nullopt, last.output_dtype());
}

// The same without overflow in float16: u / √(mean(u²) + (r / m)²) with u = x / m, m = max(max|x|, floor) and
// r the root of ε. What m is makes no difference but to rounding.
std::vector<size_t> match_scaled_rms_norm(const Graph& graph, const Operation& root) {
  const Operation* unit = graph.maker(root, "x", "real_div");
  const Operation* scale = graph.maker(root, "y", "rsqrt");
  const Operation* variance = scale ? graph.maker(*scale, "x", "add") : nullptr;
  if (!unit || !variance || graph.number(slot_of(*scale, "epsilon")) != 0.0f) return {};
  std::vector<size_t> found = {graph.place(root), graph.place(*unit), graph.place(*scale),
                               graph.place(*variance)};
  const Operation* mean = mean_square(graph, *variance, "x", unit->outputs[0].slot, found);
  const Operation* offset = graph.maker(slot_of(*variance, "y"));
  const Operation* ratio = offset ? graph.maker(*offset, "x", "real_div") : nullptr;
  const Operation* peak = graph.maker(*unit, "y", "maximum");
  const Operation* highest = peak ? graph.maker(*peak, "x", "reduce_max") : nullptr;
  const Operation* size = highest ? graph.maker(*highest, "x", "abs") : nullptr;
  if (!mean || !ratio || !size || !squares(*offset, ratio->outputs[0].slot)) return {};
  int x = slot_of(*unit, "x");
  bool same = slot_of(*size, "x") == x && slot_of(*ratio, "y") == peak->outputs[0].slot &&
              graph.integers(*highest, "axes") == graph.integers(*mean, "axes") &&
              graph.flag(*highest, "keep_dims") == true;
  bool known = graph.number(slot_of(*ratio, "x")) && graph.number(slot_of(*peak, "y")).value_or(-1) > 0;
  const TensorType *type = graph.float_type(x), *result = graph.float_type(root.outputs[0].slot);
  if (!same || !known || !type || !result || type->shape != result->shape) return {};
  for (const Operation* each : {offset, ratio, peak, highest, size}) found.push_back(graph.place(*each));
  return found;
}

std::optional<array> run_scaled_rms_norm(std::vector<Call>& parts, bool) {
  Call &size = *part(parts, "abs"), &last = parts.back();
  const array& x = size.tensor("x");
  auto plan = plan_of(*part(parts, "reduce_mean"), x);
  if (!plan || !size.is_ours({"x"}) || !last.is_ours({})) return std::nullopt;
  for (Call& each : parts) {
    if (each.operation().type != "real_div" || !each.is_constant("x")) continue;
    plan->epsilon = static_cast<float>(each.number("x") * each.number("x"));
  }
  return kernels::normalize(x, *plan, std::nullopt, std::nullopt, last.output_dtype());
}

}  // namespace

const FusionTable& norm_fusions() {
  static const auto* table = new FusionTable{
      {"group_norm", "reshape", match_group_norm, run_group_norm},
      {"rms_norm", "mul", match_rms_norm, run_rms_norm},
      {"scaled_rms_norm", "mul", match_scaled_rms_norm, run_scaled_rms_norm},
  };
  return *table;
}

}  // namespace tintype
