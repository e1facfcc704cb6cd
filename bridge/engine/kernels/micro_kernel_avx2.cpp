#include "kernels/micro_kernel.h"

namespace {
constexpr int kLanes = 8, kRows = 6;
}
#include "kernels/micro_kernel.inl"

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_avx2() {
  static const MicroKernel kernel = {kRows,   kColumns,    multiply, sigmoid_linear,
                                     sigmoid, exponential, softmax};
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernel : nullptr;
}
