#pragma once

#include <random>
#include <vector>

#include "kernels/micro_kernel.h"

/** Normally distributed, the same for the same seed. */
inline std::vector<float> noise(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

/** All that this machine can run. */
inline std::vector<const tintype::kernels::MicroKernel*> micro_kernels() {
  using namespace tintype::kernels;
  std::vector<const MicroKernel*> found;
  for (const MicroKernel* kernel : {micro_kernel_generic(), micro_kernel_avx2(), micro_kernel_avx512()}) {
    if (kernel) found.push_back(kernel);
  }
  return found;
}
