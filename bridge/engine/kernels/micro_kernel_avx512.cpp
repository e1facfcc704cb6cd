#include "kernels/micro_kernel.h"

namespace {
constexpr int kLanes = 16, kRows = 12;
}
#include "kernels/micro_kernel.inl"

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_avx512() {
  static const MicroKernel kernel = {kRows,   kColumns,    multiply, sigmoid_linear,
                                     sigmoid, exponential, softmax};
  bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("fma");
  return has ? &kernel : nullptr;
}
