/**
 * Letting go of the GIL and taking it again, also while the interpreter ends.
 *
 * CPython before 3.14 ends a thread that asks for the GIL of an interpreter that is ending by pthread_exit,
 * which on glibc unwinds the stack like an exception. Destructors and runtimes on the way would end the
 * process for it, so such a thread stays where it is until the process is gone.
 */
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

namespace tintype {

/** What `take` gives; where the interpreter is ending, nothing: the thread waits for the end. */
template <typename Take>
auto take_or_wait_for_the_end(Take take) noexcept {
  try {
    return take();
  } catch (...) {
    for (;;) pause();
  }
}

/** No GIL within its scope, which begins with it. */
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() {
    take_or_wait_for_the_end([this] { PyEval_RestoreThread(state_); });
  }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

/** The GIL within its scope, on a thread that may have it or not. */
class GilHeld {
 public:
  GilHeld() : state_(take_or_wait_for_the_end([] { return PyGILState_Ensure(); })) {}
  ~GilHeld() { PyGILState_Release(state_); }
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace tintype
