#include "kernels/evaluate.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <mutex>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "kernels/cpu_primitive.h"
#include "kernels/parallel.h"

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
  constexpr const char* kNames[] = {"Broadcast", "ExpandDims", "Squeeze", "Transpose", "Slice", "AsStrided"};
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

/** What is waiting, in reverse: each array before its inputs. */
struct Schedule {
  std::vector<array> order;
  bool at_home = true;  // nothing there is MLX's to compute, or being computed
};

Schedule schedule(const std::vector<array>& outputs) {
  Schedule schedule;
  std::vector<std::pair<array, size_t>> open;  // and how many of its inputs have been seen
  std::unordered_set<std::uintptr_t> seen;
  auto visit = [&](const array& x) {
    if (!is_ready(x)) schedule.at_home = false;
    if (is_waiting(x) && seen.insert(x.id()).second) open.emplace_back(x, 0);
  };
  for (const array& output : outputs) {
    visit(output);
    while (!open.empty()) {
      auto& [x, next] = open.back();
      if (next == 0 && !is_at_home(x)) schedule.at_home = false;
      if (next == x.inputs().size()) {
        schedule.order.push_back(std::move(x));
        open.pop_back();
        continue;
      }
      const array& input = x.inputs()[next++];
      visit(input);  // may move `open`
    }
  }
  std::reverse(schedule.order.begin(), schedule.order.end());
  return schedule;
}

void compute_here(std::vector<array> order) {
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

/** What work on MLX's thread has thrown. */
struct Kept {
  std::mutex mutex;
  std::exception_ptr error;
};

Kept& kept() {
  static Kept kept;
  return kept;
}

void compute_by_mlx(std::vector<array> outputs) {
  mx::eval(std::move(outputs));
  std::unique_lock lock(kept().mutex);
  if (auto error = std::exchange(kept().error, nullptr)) std::rethrow_exception(error);
}

// A primitive of MLX's ends when it is done: to compute the large ones one by one is to look between them.
bool compute_in_turn(std::vector<array> order) {
  constexpr size_t kLarge = size_t{4} << 20;  // bytes that take longer than to wake a thread
  auto is_large = [](const array& x) {
    size_t bytes = x.nbytes();
    for (const array& input : x.inputs()) bytes = std::max(bytes, input.nbytes());
    return bytes >= kLarge;
  };
  while (!order.empty()) {
    array x = std::move(order.back());
    order.pop_back();
    if (!is_waiting(x) || !is_large(x) || is_view(x)) continue;
    if (tasks_are_left_out()) return false;
    compute_by_mlx({std::move(x)});
  }
  return !tasks_are_left_out();
}

}  // namespace

bool computes_here() {
  return computing_here;
}

void keep_error(std::exception_ptr error) {
  std::lock_guard lock(kept().mutex);
  kept().error = std::move(error);
}

bool evaluate(std::vector<array> outputs) {
  if (mx::default_device() == mx::Device::cpu) {
    auto [order, at_home] = schedule(outputs);
    if (at_home) {
      compute_here(std::move(order));
      return !tasks_are_left_out();
    }
    if (!compute_in_turn(std::move(order))) return false;
  }
  compute_by_mlx(std::move(outputs));
  return true;
}

}  // namespace tintype::kernels
