#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "program/program.h"
#include "run/value.h"
#include "support/json.h"

namespace tintype {

/** True if a call takes milliseconds at most: then nobody needs to watch or to end it. By a rough forecast
 * from the declared types; where those leave sizes open, or a loop or branch does, the answer is false. */
bool is_small(const Function& function);

/**
 * Watches one call: how far it is, whether it shall end, and what its ops cost. MLX only computes when asked
 * to, so a watched call computes in pieces of about 40 ms; one whose statistics are collected, op by op.
 */
class Monitor {
 public:
  Monitor(const Function& function, bool collects);

  /** When the call's turn comes, on the engine's thread, and when it is over, however it ends. */
  void start();
  void finish();

  /** Around one op, on the engine's thread. `after` refuses once the call is cancelled. */
  void before();
  void after(const Operation& operation, Frame& frame);

  /** Around the work that belongs to no op: reading the caller's inputs, writing its outputs. `name` is a row
   * beside those of the ops. */
  void after(const std::string& name, const std::vector<mlx::core::array>& arrays);

  /** The forecast for the whole call, in the units of the ops' costs. */
  double cost() const { return total_; }

  /** From any thread. */
  double fraction() const { return fraction_; }
  /** The engine's own kernels leave out what they have not begun; results are of no use from then on. */
  void cancel();
  void refuse_if_cancelled() const;

  /** What `result_statistics` of the C ABI promises, but for the weights. */
  Json statistics() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Tally {
    int64_t calls = 0, bytes = 0;
    double seconds = 0;
  };

  /** An op under way; ops of its blocks take their time off it. */
  struct Open {
    Clock::time_point start;
    double inner = 0;
  };

  double measure(const Block& block, bool outermost);
  double measure(const Operation& operation, bool outermost);
  void compute(Frame& frame);
  void count(const Operation& operation, const Frame& frame);
  Tally& tally(const std::string& name);
  void weigh(const Frame& frame);

  bool collects_;
  std::vector<const TensorType*> types_;  // by slot
  std::vector<double> costs_;             // by op, in arbitrary units
  std::vector<bool> outermost_;
  double total_ = 0, done_ = 0, pending_ = 0, piece_ = 0;
  std::vector<Open> open_;
  double counting_ = 0;  // seconds that the statistics take themselves
  std::map<std::string, Tally> tallies_;
  int64_t peak_live_bytes_ = 0;
  Clock::time_point start_ = Clock::now(), last_ = start_;
  std::atomic<double> fraction_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace tintype
