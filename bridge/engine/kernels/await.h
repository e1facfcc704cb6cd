#pragma once

#include <chrono>
#include <thread>

namespace tintype::kernels {

/**
 * Looks out for `holds` for a moment, before the caller goes to sleep until it does. What it awaits is often
 * microseconds away, while waking a thread takes tens of them where a processor has gone idle. Where there is
 * one processor only, whoever is awaited needs it.
 */
template <typename Condition>
void await(const Condition& holds) {
  static const bool several = std::thread::hardware_concurrency() > 1;
  if (!several || holds()) return;
  constexpr std::chrono::microseconds kPatience{60};
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 16; ++i) {
      if (holds()) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("yield");
#endif
    }
  }
}

}  // namespace tintype::kernels
