#include "kernels/evaluate.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "kernels/cpu_primitive.h"

namespace tintype::kernels {

namespace {

thread_local bool computing_here = false;

struct ComputeHere {
  ComputeHere() { computing_here = true; }
  ~ComputeHere() { computing_here = false; }
};

bool is_waiting(const array& x) {
  return x.status() == array::Status::unscheduled;
}

template <size_t kCount>
bool is_one_of(const char* const (&names)[kCount], const array& x) {
  std::string_view name = x.primitive().name();  // MLX keeps its classes' types to itself
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// MLX's primitives that only describe their input's memory anew.
bool is_view(const array& x) {
  constexpr const char* kNames[] = {"Broadcast", "ExpandDims", "Squeeze", "Transpose", "Slice"};
  return is_one_of(kNames, x);
}

// Those too, if their input is row-contiguous; else they copy it on MLX's thread.
bool is_reshape(const array& x) {
  constexpr const char* kNames[] = {"Reshape", "Flatten", "Unflatten"};
  return is_one_of(kNames, x);
}

bool is_at_home(const array& x) {
  return x.has_primitive() && x.siblings().empty() && !x.is_tracer() &&
         (dynamic_cast<const CpuPrimitive*>(&x.primitive()) || is_view(x) || is_reshape(x));
}

// Whether all inputs may be read now: constants, or what an earlier evaluation has finished.
bool is_ready(const array& x) {
  return is_waiting(x) || x.is_available();
}

/** What is waiting, each array after its inputs; empty if something there is MLX's to compute. */
std::vector<array> schedule(const std::vector<array>& outputs) {
  std::vector<array> order;
  std::vector<std::pair<array, size_t>> open;  // and how many of its inputs have been seen
  std::unordered_set<std::uintptr_t> seen;
  auto visit = [&](const array& x) {
    if (is_waiting(x) && seen.insert(x.id()).second) open.emplace_back(x, 0);
  };
  for (const array& output : outputs) {
    if (!is_ready(output)) return {};
    visit(output);
    while (!open.empty()) {
      auto& [x, next] = open.back();
      if (next == 0 && !is_at_home(x)) return {};
      if (next == x.inputs().size()) {
        order.push_back(std::move(x));
        open.pop_back();
        continue;
      }
      const array& input = x.inputs()[next++];
      if (!is_ready(input)) return {};
      visit(input);  // may move `open`
    }
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

bool computes_here() {
  return computing_here;
}

void evaluate(std::vector<array> outputs) {
  if (mx::default_device() != mx::Device::cpu) return mx::eval(std::move(outputs));
  std::vector<array> order = schedule(outputs);
  if (order.empty()) return mx::eval(std::move(outputs));
  ComputeHere here;
  while (!order.empty()) {
    // Nothing else may hold an array when what reads it is computed: then its memory is taken over.
    array x = std::move(order.back());
    order.pop_back();
    std::vector<array> results = {x};
    x.primitive().eval_cpu(x.inputs(), results);
    if (is_reshape(x) && !x.inputs()[0].flags().row_contiguous) mx::synchronize(x.primitive().stream());
    x.set_status(array::Status::available);
    results.clear();
    x.detach();
  }
}

}  // namespace tintype::kernels
