#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>

namespace tintype::kernels {

/**
 * Calls body(i) for every i in [0, count), on all processors, each taking the next when it is free. A body
 * that calls this again runs its own part alone. What a body computes must depend on i only, so that results
 * are the same at any number of threads.
 */
void parallel_tasks(int64_t count, const std::function<void(int64_t)>& body);

/** Calls body(begin, end) on pieces of [0, count) of `grain` elements, the last one shorter. */
void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

/** While on, tasks that have not begun are left out: nobody wants what they would compute. A kernel that
 * reads what such a task would have written is left out, too, since none begins while this is on. */
void leave_tasks_out(bool on);
bool tasks_are_left_out();

/** At most this many threads from now on; 0: all processors. For tests. */
void limit_threads(int count);
/** How many threads share the tasks. */
int threads();

/** Memory for one task, kept for the thread's next one while it is small. */
class Scratch {
 public:
  /** At least `count` floats with room for a vector behind them, at the start of a line of the cache; valid
   * until the next call. */
  float* floats(size_t count);
  /** Gives large memory back. */
  void trim();

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };

  std::unique_ptr<float[], Free> data_;
  size_t size_ = 0;
};

}  // namespace tintype::kernels
