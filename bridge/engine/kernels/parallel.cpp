#include "kernels/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "kernels/await.h"
#include "kernels/large_pages.h"

namespace tintype::kernels {

namespace {

thread_local bool inside = false;  // of a task
std::atomic<bool> left_out = false;

void alone(int64_t count, const std::function<void(int64_t)>& body) {
  for (int64_t i = 0; i < count && !left_out; ++i) body(i);
}

/** Workers that wait for one job at a time; the caller works too. */
class Pool {
 public:
  Pool() {
    workers_ = std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1, 64) - 1;
    for (int i = 0; i < workers_; ++i) std::thread([this] { loop(); }).detach();
  }

  int workers() const { return std::min(workers_, limit_.load() - 1); }
  void limit(int count) { limit_ = count > 0 ? count : kNoLimit; }

  // Two streams of MLX may compute at once: the second then works alone.
  void run(int64_t count, const std::function<void(int64_t)>& body) {
    std::unique_lock busy(busy_, std::try_to_lock);
    int helpers = static_cast<int>(std::min<int64_t>(workers(), count - 1));
    if (!busy || helpers < 1) {
      alone(count, body);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      body_ = &body;
      count_ = count;
      next_ = 0;
      error_ = nullptr;
      places_ = helpers;
      ++round_;
    }
    start_.notify_all();
    work();
    await([&] { return joined_ == 0; });  // ops follow each other within microseconds
    std::unique_lock lock(mutex_);
    places_ = 0;  // whoever has not woken up by now is not waited for
    done_.wait(lock, [&] { return joined_ == 0; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static constexpr int kNoLimit = 1 << 30;

  void work() {
    inside = true;
    try {
      for (int64_t i = next_++; i < count_ && !left_out; i = next_++) (*body_)(i);
    } catch (...) {  // memory that was not there: for the caller, once nobody works any more
      next_ = count_;
      std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
    inside = false;
  }

  void loop() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      lock.unlock();
      await([&] { return round_ != seen; });
      lock.lock();
      start_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (places_ == 0) continue;
      --places_;
      ++joined_;
      lock.unlock();
      work();
      lock.lock();
      if (--joined_ == 0) done_.notify_one();
    }
  }

  int workers_ = 0, places_ = 0;
  std::atomic<int> joined_{0};
  std::atomic<uint64_t> round_{0};
  const std::function<void(int64_t)>* body_ = nullptr;
  std::exception_ptr error_;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> limit_{kNoLimit};
  std::mutex busy_, mutex_;
  std::condition_variable start_, done_;
};

Pool& pool() {
  static auto* pool = new Pool();  // lives as long as the process
  return *pool;
}

}  // namespace

void parallel_tasks(int64_t count, const std::function<void(int64_t)>& body) {
  if (count <= 1 || inside) {
    alone(count, body);
    return;
  }
  pool().run(count, body);
}

void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= grain) {
    if (count > 0 && !left_out) body(0, count);
    return;
  }
  parallel_tasks((count + grain - 1) / grain,
                 [&](int64_t i) { body(i * grain, std::min(count, (i + 1) * grain)); });
}

void leave_tasks_out(bool on) {
  left_out = on;
}

bool tasks_are_left_out() {
  return left_out;
}

void limit_threads(int count) {
  pool().limit(count);
}

int threads() {
  return pool().workers() + 1;
}

float* Scratch::floats(size_t count) {
  if (count > size_) {
    data_.reset();  // before the next is taken
    size_ = 0;
    constexpr size_t kLine = 64, kBehind = 64 * sizeof(float);
    size_t bytes = count * sizeof(float) + kBehind, unit = bytes < kLargePage ? kLine : kLargePage;
    bytes = (bytes + unit - 1) / unit * unit;
    data_.reset(static_cast<float*>(std::aligned_alloc(unit, bytes)));
    if (!data_) throw std::bad_alloc();
    want_large_pages(data_.get(), bytes);
    size_ = count;
  }
  return data_.get();
}

void Scratch::trim() {
  constexpr size_t kKept = size_t{8} << 20;  // floats
  if (size_ <= kKept) return;
  data_.reset();
  size_ = 0;
}

}  // namespace tintype::kernels
