#include "kernels/micro_kernel.h"

namespace {
constexpr int kLanes = 4, kRows = 6;
}
#include "kernels/micro_kernel.inl"

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_generic() {
  static const MicroKernel kernel = {kRows,   kColumns,    multiply, sigmoid_linear,
                                     sigmoid, exponential, softmax};
  return &kernel;
}
