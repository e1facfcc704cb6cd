#include "kernels/has_f16c.h"
#include "kernels/micro_kernel.h"

namespace {
constexpr int kLanes = 16, kRows = 12;
}
#include "kernels/vectors.inl"
// The order matters: curves, tiles and loops are made of vectors.
#include "kernels/curves.inl"
// Angles come before logarithms, which use their signs.
#include "kernels/angles.inl"
// Logarithms are made of exponentials too.
#include "kernels/logarithms.inl"
// Loops are made of curves.
#include "kernels/slides.inl"
#include "kernels/tiles.inl"
// Elements of all types are made of curves, too, and of powers.
#include "kernels/powers.inl"
// Powers come first.
#include "kernels/elements.inl"
// The table of them all stands at the end of the last.
#include "kernels/loops.inl"

const tintype::kernels::MicroKernel* tintype::kernels::micro_kernel_avx512() {
  bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("fma") && has_f16c();
  return has ? &kKernel : nullptr;
}
