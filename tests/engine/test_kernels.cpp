#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "kernels/gemm.h"
#include "kernels/micro_kernel.h"

using namespace tintype::kernels;

namespace {

std::vector<float> noise(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

std::vector<const MicroKernel*> kernels() {
  std::vector<const MicroKernel*> found;
  for (const MicroKernel* kernel : {micro_kernel_generic(), micro_kernel_avx2(), micro_kernel_avx512()}) {
    if (kernel) found.push_back(kernel);
  }
  return found;
}

}  // namespace

TEST(every_micro_kernel_multiplies_a_tile) {
  for (const MicroKernel* kernel : kernels()) {
    int depth = 37;
    auto a = noise(static_cast<size_t>(depth * kernel->rows), 1),
         b = noise(static_cast<size_t>(depth * kernel->columns), 2);
    std::vector<float> c(static_cast<size_t>(kernel->rows * kernel->columns), 1.0f);
    kernel->multiply(depth, a.data(), b.data(), c.data(), kernel->columns);
    for (int i = 0; i < kernel->rows; ++i) {
      for (int j = 0; j < kernel->columns; ++j) {
        double sum = 1;
        for (int k = 0; k < depth; ++k)
          sum += double{a[static_cast<size_t>(k * kernel->rows + i)]} *
                 b[static_cast<size_t>(k * kernel->columns + j)];
        CHECK(std::abs(sum - c[static_cast<size_t>(i * kernel->columns + j)]) < 1e-4);
      }
    }
  }
}

TEST(every_micro_kernel_knows_exp) {
  float infinity = std::numeric_limits<float>::infinity();
  for (const MicroKernel* kernel : kernels()) {
    std::vector<float> x = {0, 1, -1, 88.3f, -87, 200, -200, infinity, -infinity, NAN, 1e-20f};
    for (float value = -80; value < 80; value += 0.37f) x.push_back(value);
    std::vector<float> y(x.size());
    kernel->exponential(static_cast<long>(x.size()), x.data(), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      double expected = std::exp(double{x[i]});
      if (std::isnan(x[i]))
        CHECK(std::isnan(y[i]));
      else if (expected > 3.4e38)
        CHECK(std::isinf(y[i]));
      else
        CHECK(std::abs(y[i] - expected) <= 4e-7 * expected + 1e-37);
    }
    kernel->sigmoid_linear(3, 2.0f, x.data(), y.data());
    CHECK(std::abs(y[1] - 1 / (1 + std::exp(-2.0))) < 1e-6);
  }
}

TEST(every_micro_kernel_knows_softmax) {
  for (const MicroKernel* kernel : kernels()) {
    for (long count : {1L, 7L, 16L, 77L}) {
      auto x = noise(static_cast<size_t>(count), 3);
      x[0] = 50;
      std::vector<float> y(x.size());
      kernel->softmax(count, x.data(), y.data());
      double total = 0;
      for (float value : x) total += std::exp(double{value} - 50);
      for (size_t i = 0; i < x.size(); ++i)
        CHECK(std::abs(y[i] - std::exp(double{x[i]} - 50) / total) < 1e-6);
    }
  }
}

TEST(multiplies_matrices_of_awkward_sizes) {
  struct Size {
    int m, n, k;
  };
  for (Size s : {Size{1, 1, 1}, Size{5, 3, 2}, Size{13, 33, 257}, Size{121, 65, 300}, Size{64, 1100, 20},
                 Size{7, 2, 600}}) {
    auto a = noise(static_cast<size_t>(s.m * s.k), 4), b = noise(static_cast<size_t>(s.n * s.k), 5);
    std::vector<float> c(static_cast<size_t>(s.m * s.n)), transposed(c.size());
    multiply(s.m, s.n, s.k, Matrix{a.data(), s.k, 1}, Matrix{b.data(), 1, s.k}, c.data(),
             s.n);  // b as [n, k]
    std::vector<float> rows(b.size());
    for (int k = 0; k < s.k; ++k) {
      for (int j = 0; j < s.n; ++j)
        rows[static_cast<size_t>(k * s.n + j)] = b[static_cast<size_t>(j * s.k + k)];
    }
    multiply(s.m, s.n, s.k, Matrix{a.data(), s.k, 1}, Matrix{rows.data(), s.n, 1}, transposed.data(), s.n);
    CHECK(c == transposed);
    double worst = 0;
    for (int i = 0; i < s.m; ++i) {
      for (int j = 0; j < s.n; ++j) {
        double sum = 0;
        for (int k = 0; k < s.k; ++k)
          sum += double{a[static_cast<size_t>(i * s.k + k)]} * b[static_cast<size_t>(j * s.k + k)];
        worst = std::max(worst, std::abs(sum - c[static_cast<size_t>(i * s.n + j)]));
      }
    }
    CHECK(worst < 2e-4);
  }
}

TEST(works_in_parallel_on_every_element_once) {
  std::vector<int> seen(1003, 0);
  for (int round = 0; round < 200; ++round) {
    parallel(1003, 10, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) ++seen[static_cast<size_t>(i)];
    });
  }
  for (int count : seen) CHECK(count == 200);
}

int main() {
  return check::run_all();
}
