#pragma once

#include <cpuid.h>

namespace tintype::kernels {

/** True if this x86 processor converts float16 in hardware. (clang before 15 does not know "f16c" in
 * __builtin_cpu_supports.) Static: files for different instruction sets include it, and the linker must not
 * choose one's copy for the other. */
static inline bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

}  // namespace tintype::kernels
