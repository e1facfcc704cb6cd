#include "run/process_end.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <shared_mutex>

#include "mlx/mlx.h"
#include "run/fork.h"

namespace tintype {

namespace mx = mlx::core;

namespace {

// A computation that outlasts this is abandoned: ending a process must not take for ever.
constexpr std::chrono::seconds kPatience{30};

struct Gate {
  std::shared_timed_mutex mutex;
  std::atomic<bool> closed{false};  // where patience ends, it is closed without the mutex
};

// Never destroyed: threads that outlive main may still come by.
Gate& gate() {
  static auto* gate = new Gate();
  return *gate;
}

void close_gate() {
  if (is_forked()) return;
  bool alone = gate().mutex.try_lock_for(kPatience);
  gate().closed = true;
  if (alone) gate().mutex.unlock();
}

}  // namespace

ApiCall::ApiCall() : holds_gate_(!is_forked()) {
  if (holds_gate_) gate().mutex.lock_shared();
  too_late_ = !holds_gate_ || gate().closed;
}

ApiCall::~ApiCall() {
  if (holds_gate_) gate().mutex.unlock_shared();
}

void close_engine_before_mlx(const std::function<void()>& open_stream) {
  // Handlers run in the reverse order of their registration: first touch what MLX destroys at exit. Its
  // streams' encoders are such objects, and each kind of stream has its own.
  auto touch = [] { (mx::array(1.0f) + mx::array(1.0f)).eval(); };
  touch();
  open_stream();
  touch();
  std::atexit(close_gate);
}

}  // namespace tintype
