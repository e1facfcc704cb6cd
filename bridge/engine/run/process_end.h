#pragma once

#include <functional>

namespace tintype {

/**
 * A call into the engine, for as long as it lives.
 *
 * At exit the C library destroys MLX's allocator and scheduler while other threads still run, and one that
 * then frees a model or computes writes into freed memory. So the end of the process waits for the calls that
 * are under way, and calls that come later are told that they are too late: they leave their memory to the
 * system.
 */
class ApiCall {
 public:
  ApiCall();
  ~ApiCall();
  ApiCall(const ApiCall&) = delete;
  ApiCall& operator=(const ApiCall&) = delete;

  /** Whether the process is ending, or a fork has left the engine behind: MLX must not be touched. */
  bool too_late() const { return too_late_; }

 private:
  bool holds_gate_, too_late_;
};

/**
 * Brings MLX's own static objects up, so that they are destroyed after the engine has closed, not before:
 * also those of the stream that `open_stream` makes the thread's own.
 */
void close_engine_before_mlx(const std::function<void()>& open_stream);

}  // namespace tintype
