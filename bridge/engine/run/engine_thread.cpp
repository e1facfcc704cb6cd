#include "run/engine_thread.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "mlx/mlx.h"
#include "run/fork.h"
#include "run/process_end.h"
#include "support/error.h"

namespace tintype {

namespace mx = mlx::core;

namespace {

/** One caller's job and the place where it waits. */
struct Job {
  const std::function<void()>& run;
  std::exception_ptr error;
  bool done = false;
  std::condition_variable finished = {};
};

thread_local bool has_turn = false;  // runs a job

/** Arrays made meanwhile on this thread are of that stream. */
class UseStream {
 public:
  explicit UseStream(mx::Stream stream) : before_(mx::default_stream(mx::Device::cpu)) {
    mx::set_default_stream(stream);
  }
  ~UseStream() { mx::set_default_stream(before_); }
  UseStream(const UseStream&) = delete;
  UseStream& operator=(const UseStream&) = delete;

 private:
  mx::Stream before_;
};

class EngineThread {
 public:
  EngineThread() {
    engine_starts();
    std::thread([this] { loop(); }).detach();
  }

  void run(const std::function<void()>& work, const std::function<bool()>& wanted) {
    if (has_turn) return work();  // a job may start another
    Job job{work, nullptr};
    std::unique_lock lock(mutex_);
    jobs_.push_back(&job);
    arrived_.notify_one();
    while (!job.finished.wait_for(lock, kPatience, [&] { return job.done || !wanted; }))
      ask(job, wanted, lock);
    job.finished.wait(lock, [&] { return job.done; });
    lock.unlock();
    if (job.error) std::rethrow_exception(job.error);
  }

  bool run_here(const std::function<void()>& work) {
    std::unique_lock turn(turn_, std::try_to_lock);
    if (!turn || !stream_) return false;
    UseStream use(*stream_);
    take_turn(work);
    return true;
  }

 private:
  static constexpr std::chrono::milliseconds kPatience{50};

  static void take_turn(const std::function<void()>& work) {
    struct Turn {
      Turn() { has_turn = true; }
      ~Turn() { has_turn = false; }
    } turn;
    work();
  }

  // On the CPU, callers' threads may take the engine's place: its stream is one that any thread may use, one
  // at a time.
  void open_stream() {
    std::lock_guard turn(turn_);
    if (mx::default_device() != mx::Device::cpu) return;
    stream_ = mx::new_thread_unsafe_stream(mx::Device::cpu);
    mx::set_default_stream(*stream_);
  }

  void ask(Job& job, const std::function<bool()>& wanted, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    bool go_on = wanted();
    refuse_if_forked();  // by `wanted`: whoever held the lock is not here
    lock.lock();
    auto place = std::find(jobs_.begin(), jobs_.end(), &job);
    if (go_on || place == jobs_.end()) return;
    jobs_.erase(place);
    refuse(TT_ERROR_CANCELLED, {"", "the predict was cancelled"});
  }

  void loop() {
    close_engine_before_mlx([this] { open_stream(); });
    std::unique_lock lock(mutex_);
    while (true) {
      arrived_.wait(lock, [&] { return !jobs_.empty(); });
      Job* job = jobs_.front();
      jobs_.pop_front();
      lock.unlock();
      try {
        std::lock_guard turn(turn_);
        take_turn(job->run);
      } catch (...) {
        job->error = std::current_exception();
      }
      lock.lock();
      job->done = true;
      job->finished.notify_one();  // under the lock: the job lies on its caller's stack
    }
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Job*> jobs_;
  std::mutex turn_;                   // of whoever runs a job
  std::optional<mx::Stream> stream_;  // guarded by it
};

EngineThread& engine_thread() {
  static auto* thread = new EngineThread();  // lives as long as the process: MLX's own workers do
  return *thread;
}

}  // namespace

void on_engine_thread(const std::function<void()>& job, const std::function<bool()>& wanted) {
  refuse_if_forked();
  engine_thread().run(job, wanted);
}

bool in_engines_place(const std::function<void()>& job) {
  refuse_if_forked();
  return engine_thread().run_here(job);
}

}  // namespace tintype
