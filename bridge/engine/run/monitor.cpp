#include "run/monitor.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "kernels/parallel.h"
#include "mlx/mlx.h"
#include "run/compute.h"
#include "run/forecast.h"
#include "support/error.h"

namespace tintype {

namespace mx = mlx::core;
using mx::array;

namespace {

constexpr double kPieceSeconds = 0.04;
constexpr double kSmallPiece = 1 << 24;  // of cost, some milliseconds: a call of less is computed at once

double elements(const TensorType* type) {
  return type && type->is_static() ? static_cast<double>(type->elements()) : 1;
}

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

/** The call whose turn it is on the engine's thread: only its own end may cut kernels short. */
struct Turn {
  std::mutex mutex;
  const Monitor* running = nullptr;
};

Turn& turn() {
  static Turn turn;
  return turn;
}

bool is_static(const Definition& value) {
  const TensorType& type = value.type.tensor;
  return value.type.kind != ValueType::Kind::kTensor || (!type.any_rank && type.is_static());
}

}  // namespace

bool is_small(const Function& function) {
  double read = 0;
  for (const Definition& input : function.inputs) {
    if (!is_static(input)) return false;
    read += elements(&input.type.tensor);
  }
  for (const Operation& operation : function.block.operations) {
    const auto& outputs = operation.outputs;
    if (!operation.blocks.empty() || !std::all_of(outputs.begin(), outputs.end(), is_static)) return false;
  }
  return read + Monitor(function, false).cost() < kSmallPiece;
}

Monitor::Monitor(const Function& function, bool collects)
    : collects_(collects),
      types_(static_cast<size_t>(function.slot_count)),
      costs_(static_cast<size_t>(function.operation_count)),
      outermost_(static_cast<size_t>(function.operation_count)) {
  for (const Definition& input : function.inputs)
    types_[static_cast<size_t>(input.slot)] = &input.type.tensor;
  total_ = measure(function.block, true);
  piece_ = std::max(total_ / 16, kSmallPiece);
}

void Monitor::start() {
  refuse_if_cancelled();
  {
    std::lock_guard lock(turn().mutex);
    turn().running = this;
    kernels::leave_tasks_out(cancelled_);
  }
  start_ = last_ = Clock::now();
  if (collects_) mx::reset_peak_memory();
}

void Monitor::finish() {
  std::lock_guard lock(turn().mutex);
  if (turn().running == this) turn().running = nullptr;
  kernels::leave_tasks_out(false);
}

void Monitor::cancel() {
  cancelled_ = true;
  std::lock_guard lock(turn().mutex);
  if (turn().running == this) kernels::leave_tasks_out(true);
}

double Monitor::measure(const Block& block, bool outermost) {
  double sum = 0;
  for (const Definition& input : block.inputs) types_[static_cast<size_t>(input.slot)] = &input.type.tensor;
  for (const Operation& operation : block.operations) sum += measure(operation, outermost);
  return sum;
}

double Monitor::measure(const Operation& operation, bool outermost) {
  double cost = 0;
  auto type_of = [&](std::string_view name) -> const TensorType* {
    for (const Argument& argument : operation.arguments) {
      if (argument.name != name || argument.bindings.empty()) continue;
      const Binding& binding = argument.bindings.front();
      return binding.literal ? &binding.literal->type.tensor : types_[static_cast<size_t>(binding.slot)];
    }
    return nullptr;
  };
  for (const Definition& output : operation.outputs)
    types_[static_cast<size_t>(output.slot)] = &output.type.tensor;
  for (const Block& nested : operation.blocks) cost += measure(nested, false);
  for (const Operation& part : operation.parts) cost += measure(part, outermost);
  if (operation.parts.empty()) cost += forecast(operation, type_of);
  auto index = static_cast<size_t>(operation.index);
  costs_[index] = cost;
  outermost_[index] = outermost;
  return cost;
}

void Monitor::refuse_if_cancelled() const {
  if (cancelled_) refuse(TT_ERROR_CANCELLED, {"", "the predict was cancelled"});
}

void Monitor::before() {
  if (collects_) open_.push_back({Clock::now()});
}

void Monitor::after(const Operation& operation, Frame& frame) {
  double cost = costs_[static_cast<size_t>(operation.index)];
  pending_ += cost;
  if (outermost_[static_cast<size_t>(operation.index)]) done_ += cost;
  if (collects_) {
    compute(frame);
    count(operation, frame);
  } else if (pending_ >= piece_) {
    compute(frame);
    // The next piece is as large as this machine's pace allows.
    auto now = Clock::now();
    double pace = pending_ / std::max(seconds_between(last_, now), 1e-6);
    piece_ = std::clamp(pace * kPieceSeconds, piece_ / 4, piece_ * 4);
    last_ = now, pending_ = 0;
  }
  refuse_if_cancelled();
}

// Everything that is still needed; what died before has been dropped and costs nothing.
void Monitor::compute(Frame& frame) {
  std::vector<array> waiting;
  for (const Value& value : frame.values) {
    if (value.tensor && !value.tensor->is_available()) waiting.push_back(*value.tensor);
  }
  tintype::compute(std::move(waiting));
  if (total_ > 0) fraction_ = std::min(1.0, done_ / total_);
}

Monitor::Tally& Monitor::tally(const std::string& name) {
  Open open = open_.back();
  open_.pop_back();
  double elapsed = seconds_between(open.start, Clock::now());
  if (!open_.empty()) open_.back().inner += elapsed;
  Tally& tally = tallies_[name];
  ++tally.calls;
  tally.seconds += std::max(0.0, elapsed - open.inner);
  return tally;
}

void Monitor::after(const std::string& name, const std::vector<array>& arrays) {
  if (!collects_) return;
  Tally& row = tally(name);
  for (const array& x : arrays) row.bytes += static_cast<int64_t>(x.nbytes());
}

void Monitor::count(const Operation& operation, const Frame& frame) {
  Tally& tally = this->tally(operation.type);
  auto counting = Clock::now();
  auto bytes = [&](int slot) {
    const Value& value = frame.at(slot);
    return value.tensor ? static_cast<int64_t>(value.tensor->nbytes()) : 0;
  };
  for (const Argument& argument : operation.arguments) {
    for (const Binding& binding : argument.bindings) tally.bytes += bytes(binding.slot);
  }
  for (const Definition& output : operation.outputs) tally.bytes += bytes(output.slot);
  weigh(frame);
  double taken = seconds_between(counting, Clock::now());
  counting_ += taken;
  if (!open_.empty()) open_.back().inner += taken;
}

void Monitor::weigh(const Frame& frame) {
  int64_t live = 0;
  std::set<const void*> seen;
  for (const Value& value : frame.values) {
    if (!value.tensor || !value.tensor->is_available()) continue;
    if (seen.insert(value.tensor->buffer().ptr()).second)
      live += static_cast<int64_t>(value.tensor->nbytes());
  }
  peak_live_bytes_ = std::max(peak_live_bytes_, live);
}

Json Monitor::statistics() const {
  Json ops = Json::object();
  for (const auto& [name, tally] : tallies_) {
    ops.set(name, Json::object()
                      .set("calls", Json::integer(tally.calls))
                      .set("seconds", Json::number(tally.seconds))
                      .set("bytes", Json::integer(tally.bytes)));
  }
  return Json::object()
      .set("seconds", Json::number(seconds_between(start_, Clock::now()) - counting_))
      .set("ops", ops)
      .set("peak_live_bytes", Json::integer(peak_live_bytes_))
      .set("peak_allocated_bytes", Json::integer(static_cast<long long>(mx::get_peak_memory())));
}

}  // namespace tintype
