#include "kernels/large_pages.h"

#include <cstdint>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tintype::kernels {

void want_large_pages(void* data, size_t bytes) {
#ifdef __linux__
  uintptr_t first = (reinterpret_cast<uintptr_t>(data) + kLargePage - 1) / kLargePage * kLargePage,
            last = (reinterpret_cast<uintptr_t>(data) + bytes) / kLargePage * kLargePage;
  if (last >= first + kLargePage) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

}  // namespace tintype::kernels
