// Where the compiler targets another processor than x86-64.
#include "kernels/micro_kernel.h"

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_avx2() {
  return nullptr;
}

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_avx512() {
  return nullptr;
}
