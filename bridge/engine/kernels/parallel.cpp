#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/gemm.h"

namespace tintype::kernels {

namespace {

/** Workers that wait for one job at a time; the caller takes a part too. */
class Pool {
 public:
  Pool() {
    int count = std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1, 16) - 1;
    for (int i = 0; i < count; ++i) std::thread([this, i] { loop(i + 1); }).detach();
    parts_ = count + 1;
  }

  int parts() const { return parts_; }

  // Only the engine's one MLX stream computes, but two streams may exist: the second then works alone.
  void run(const std::function<void(int)>& part) {
    if (!busy_.try_lock()) {
      for (int i = 0; i < parts_; ++i) part(i);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      part_ = &part;
      pending_ = parts_ - 1;
      ++round_;
    }
    start_.notify_all();
    part(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return pending_ == 0; });
    lock.unlock();
    busy_.unlock();
  }

 private:
  void loop(int index) {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      start_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      const auto* part = part_;
      lock.unlock();
      (*part)(index);
      lock.lock();
      if (--pending_ == 0) done_.notify_one();
    }
  }

  int parts_ = 1, pending_ = 0;
  uint64_t round_ = 0;
  const std::function<void(int)>* part_ = nullptr;
  std::mutex busy_, mutex_;
  std::condition_variable start_, done_;
};

}  // namespace

void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  static auto* pool = new Pool();  // lives as long as the process
  int64_t grains = (count + grain - 1) / grain;
  if (grains <= 1 || pool->parts() == 1) {
    if (count > 0) body(0, count);
    return;
  }
  pool->run([&](int part) {
    int64_t begin = grains * part / pool->parts() * grain, end = grains * (part + 1) / pool->parts() * grain;
    end = std::min(end, count);
    if (begin < end) body(begin, end);
  });
}

}  // namespace tintype::kernels
