#include "run/engine_thread.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "run/process_end.h"
#include "support/error.h"

namespace tintype {

namespace {

/** One caller's job and the place where it waits. */
struct Job {
  const std::function<void()>& run;
  std::exception_ptr error;
  bool done = false;
  std::condition_variable finished = {};
};

class EngineThread {
 public:
  EngineThread() {
    std::thread([this] { loop(); }).detach();
  }

  void run(const std::function<void()>& work, const std::function<bool()>& wanted) {
    if (std::this_thread::get_id() == id_.load()) return work();  // a job may start another
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

 private:
  static constexpr std::chrono::milliseconds kPatience{50};

  void ask(Job& job, const std::function<bool()>& wanted, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    bool go_on = wanted();
    lock.lock();
    auto place = std::find(jobs_.begin(), jobs_.end(), &job);
    if (go_on || place == jobs_.end()) return;
    jobs_.erase(place);
    refuse(TT_ERROR_CANCELLED, {"", "the predict was cancelled"});
  }

  void loop() {
    close_engine_before_mlx();
    std::unique_lock lock(mutex_);
    id_ = std::this_thread::get_id();
    while (true) {
      arrived_.wait(lock, [&] { return !jobs_.empty(); });
      Job* job = jobs_.front();
      jobs_.pop_front();
      lock.unlock();
      try {
        job->run();
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
  std::atomic<std::thread::id> id_;
};

}  // namespace

void on_engine_thread(const std::function<void()>& job, const std::function<bool()>& wanted) {
  static auto* thread = new EngineThread();  // lives as long as the process: MLX's own workers do
  thread->run(job, wanted);
}

}  // namespace tintype
