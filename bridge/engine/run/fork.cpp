#include "run/fork.h"

#include <pthread.h>

#include <atomic>

#include "support/error.h"

namespace tintype {

namespace {

std::atomic<bool> started = false, forked = false;

}  // namespace

void engine_starts() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forked = started.load(); });
  (void)registered;
  started = true;
}

bool is_forked() {
  return forked;
}

void refuse_if_forked() {
  if (!forked) return;
  refuse(TT_ERROR_RUNTIME,
         {"", "this process was forked after the engine had started, and the engine's threads are not in it",
          "", "",
          "Start processes with multiprocessing's \"spawn\" or \"forkserver\", or load the first model after "
          "the fork."});
}

}  // namespace tintype
