#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "check.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/micro_kernel.h"
#include "kernels/parallel.h"

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

struct Function {
  Unary op;
  std::function<double(double)> reference;
};

/** Functions of one value with parameters a = 2, b = 0.5. */
std::vector<Function> functions() {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  return {
      {Unary::kSin, [](double x) { return std::sin(x); }},
      {Unary::kCos, [](double x) { return std::cos(x); }},
      {Unary::kTan, [](double x) { return std::tan(x); }},
      {Unary::kAsin, [](double x) { return std::asin(x); }},
      {Unary::kAcos, [](double x) { return std::acos(x); }},
      {Unary::kAtan, [](double x) { return std::atan(x); }},
      {Unary::kSinh, [](double x) { return std::sinh(x); }},
      {Unary::kCosh, [](double x) { return std::cosh(x); }},
      {Unary::kAtanh, [](double x) { return std::atanh(x); }},
      {Unary::kLog, [](double x) { return std::log(x + 2); }},
      {Unary::kExp2, [](double x) { return std::exp2(x); }},
      {Unary::kSoftplus, [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }},
      {Unary::kExp, [](double x) { return std::exp(x); }},
      {Unary::kErf, [](double x) { return std::erf(x); }},
      {Unary::kTanh, [](double x) { return std::tanh(x); }},
      {Unary::kSigmoid, sigmoid},
      {Unary::kSigmoidLinear, [sigmoid](double x) { return x * sigmoid(2 * x); }},
      {Unary::kGelu, [](double x) { return x / 2 * (1 + std::erf(x * std::sqrt(0.5))); }},
      {Unary::kGeluTanh,
       [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {Unary::kSquare, [](double x) { return x * x; }},
      {Unary::kAbs, [](double x) { return std::abs(x); }},
      {Unary::kRelu, [](double x) { return std::max(x, 0.0); }},
      {Unary::kAffine, [](double x) { return 2 * x + 0.5; }},
      {Unary::kLeakyRelu, [](double x) { return x < 0 ? 2 * x : x; }},
  };
}

}  // namespace

TEST(every_micro_kernel_multiplies_a_tile) {
  for (const MicroKernel* kernel : kernels()) {
    int depth = 37;
    auto a = noise(static_cast<size_t>(depth * kernel->rows), 1),
         b = noise(static_cast<size_t>(depth * kernel->columns), 2);
    for (int height = 1; height <= kernel->rows; ++height) {
      std::vector<float> c(static_cast<size_t>(kernel->rows * kernel->columns), 1.0f), once = c;
      kernel->multiply(height, depth, a.data(), b.data(), c.data(), kernel->columns, true);
      kernel->multiply(height, depth, a.data(), b.data(), once.data(), kernel->columns, false);
      for (int i = 0; i < kernel->rows; ++i) {
        for (int j = 0; j < kernel->columns; ++j) {
          double sum = 0;
          for (int k = 0; k < depth && i < height; ++k)
            sum += double{a[static_cast<size_t>(k * kernel->rows + i)]} *
                   b[static_cast<size_t>(k * kernel->columns + j)];
          auto place = static_cast<size_t>(i * kernel->columns + j);
          CHECK(std::abs(sum + 1 - c[place]) < 1e-4);
          CHECK(std::abs(sum + (i < height ? 0 : 1) - once[place]) < 1e-4);
        }
      }
    }
  }
}

TEST(every_micro_kernel_packs_lines_of_any_strides) {
  auto source = noise(100 * 70, 6);
  std::vector<unsigned short> halves(source.size());
  micro_kernel_generic()->narrow(static_cast<long>(source.size()), source.data(), halves.data());
  micro_kernel_generic()->widen(static_cast<long>(source.size()), halves.data(), source.data());
  for (const MicroKernel* kernel : kernels()) {
    for (int width : {kernel->rows, kernel->columns}) {
      for (int depth : {1, 16, 37}) {
        for (auto [row, column] : {std::pair{70L, 1L}, std::pair{1L, 40L}, std::pair{2L, 64L}}) {
          for (auto [half, panels] : {std::pair{false, 1}, std::pair{true, 1}, std::pair{true, 3}}) {
            int count = panels * width - 2;
            std::vector<float> packed(static_cast<size_t>(panels * width * depth), -1.0f);
            const void* data = half ? static_cast<const void*>(halves.data()) : source.data();
            kernel->pack({data, row, column, half}, count, depth, width, packed.data());
            for (int k = 0; k < depth; ++k) {
              for (int i = 0; i < panels * width; ++i) {
                float expected = i < count ? source[static_cast<size_t>(i * row + k * column)] : 0.0f;
                int place = i / width * depth * width + k * width + i % width;
                CHECK(packed[static_cast<size_t>(place)] == expected);
              }
            }
          }
        }
      }
    }
  }
}

TEST(every_micro_kernel_converts_float16_alike) {
  std::vector<unsigned short> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<unsigned short>(i);
  std::vector<float> expected(all.size());
  micro_kernel_generic()->widen(65536, all.data(), expected.data());
  CHECK(expected[0x3c00] == 1 && expected[0xfbff] == -65504 && expected[1] == std::ldexp(1.0f, -24));
  auto values = noise(5000, 7);
  for (float& value : values) value *= std::exp(value * 6);
  for (float value :
       {65519.0f, 65520.0f, -70000.0f, 6e-8f, 2.9e-8f, 6.1e-5f, 1.00048828125f, 1.00146484375f, 0.0f})
    values.push_back(value);
  auto count = static_cast<long>(values.size());
  std::vector<unsigned short> halves(values.size()), others(values.size());
  micro_kernel_generic()->narrow(count, values.data(), halves.data());
  for (const MicroKernel* kernel : kernels()) {
    std::vector<float> widened(all.size());
    kernel->widen(65536, all.data(), widened.data());
    for (size_t i = 0; i < all.size(); ++i)
      CHECK(std::isnan(expected[i]) ? std::isnan(widened[i]) : widened[i] == expected[i]);
    kernel->narrow(count, values.data(), others.data());
    CHECK(others == halves);
  }
}

TEST(every_micro_kernel_knows_its_functions) {
  float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0, 1, -1, 87, -87, 1e-20f, 0.3f, -0.624f, 0.626f};
  for (float value = -20; value < 20; value += 0.37f) x.push_back(value);
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : kernels()) {
    for (const Function& function : functions()) {
      kernel->unary(function.op, 2.0f, 0.5f, static_cast<long>(x.size()), x.data(), y.data());
      for (size_t i = 0; i < x.size(); ++i) {
        double expected = function.reference(double{x[i]});
        CHECK(y[i] == expected || (std::isnan(expected) && std::isnan(y[i])) ||
              std::abs(y[i] - expected) <= 1e-6 * std::abs(expected) + 4e-7);
      }
    }
    std::vector<float> edges = {200, -200, infinity, -infinity, NAN};
    kernel->unary(Unary::kExp, 0, 0, 5, edges.data(), y.data());
    CHECK(std::isinf(y[0]) && y[1] == 0 && std::isinf(y[2]) && y[3] == 0 && std::isnan(y[4]));
  }
}

namespace {

/** Place of a float16 among all of them in order; -0 and 0 have the same. */
int place_of(unsigned short half) {
  int size = half & 0x7fff;
  return half & 0x8000 ? -size : size;
}

}  // namespace

// Every float16 there is: at most the neighbour of the nearest float16, subnormal ones and infinities
// included.
TEST(every_micro_kernel_finds_functions_of_float16_to_a_step) {
  std::vector<unsigned short> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<unsigned short>(i);
  std::vector<float> x(all.size());
  micro_kernel_generic()->widen(65536, all.data(), x.data());
  for (const Function& function : functions()) {
    std::vector<float> expected(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      double value = function.reference(double{x[i]});
      bool vanishes = function.op == Unary::kSigmoidLinear || function.op == Unary::kGelu ||
                      function.op == Unary::kGeluTanh;
      expected[i] = static_cast<float>(vanishes && x[i] == -INFINITY ? 0 : value);  // 0 · ∞
    }
    std::vector<unsigned short> nearest(x.size());
    micro_kernel_generic()->narrow(65536, expected.data(), nearest.data());
    for (const MicroKernel* kernel : kernels()) {
      std::vector<unsigned short> results(65536);
      kernel->unary_halves(function.op, 2.0f, 0.5f, 65535, all.data(), results.data());
      CHECK(results.back() == 0);  // beyond the count nothing is written
      int farthest = 0;
      for (size_t i = 0; i + 1 < x.size(); ++i) {
        if (std::isnan(expected[i]))
          CHECK((results[i] & 0x7fff) > 0x7c00);
        else
          farthest = std::max(farthest, std::abs(place_of(results[i]) - place_of(nearest[i])));
      }
      CHECK(farthest <= 1);
    }
  }
}

// Fused or alone, inside of a vector or behind the last whole one.
TEST(every_micro_kernel_gives_a_number_the_same_result_everywhere) {
  auto x = noise(1000, 12);
  for (float& value : x) value *= 4;
  std::vector<unsigned short> halves(x.size());
  micro_kernel_generic()->narrow(1000, x.data(), halves.data());
  for (const MicroKernel* kernel : kernels()) {
    for (const Function& function : functions()) {
      std::vector<float> together(x.size());
      std::vector<unsigned short> rounded(x.size());
      kernel->unary(function.op, 2.0f, 0.5f, 1000, x.data(), together.data());
      kernel->unary_halves(function.op, 2.0f, 0.5f, 1000, halves.data(), rounded.data());
      for (size_t i = 0; i < x.size(); ++i) {
        float alone;
        unsigned short half;
        kernel->unary(function.op, 2.0f, 0.5f, 1, &x[i], &alone);
        kernel->unary_halves(function.op, 2.0f, 0.5f, 1, &halves[i], &half);
        bool is_none = std::isnan(alone) && std::isnan(together[i]);
        CHECK((is_none || alone == together[i]) && half == rounded[i]);
      }
    }
  }
}

TEST(every_micro_kernel_joins_float16_as_float32) {
  constexpr size_t kCount = 83;  // no multiple of any vector
  auto left = noise(kCount, 8), right = noise(kCount, 9);
  std::vector<unsigned short> a(kCount), b(kCount), c(kCount), expected(kCount);
  micro_kernel_generic()->narrow(kCount, left.data(), a.data());
  micro_kernel_generic()->narrow(kCount, right.data(), b.data());
  micro_kernel_generic()->widen(kCount, a.data(), left.data());
  micro_kernel_generic()->widen(kCount, b.data(), right.data());
  std::vector<float> sums(kCount);
  for (const MicroKernel* kernel : kernels()) {
    for (Binary op : {Binary::kAdd, Binary::kSub, Binary::kMul, Binary::kDiv, Binary::kMax, Binary::kMin}) {
      for (auto [x_step, z_step] : {std::pair{1, 1}, std::pair{1, 0}, std::pair{0, 1}}) {
        kernel->binary(op, kCount, left.data(), x_step, right.data(), z_step, sums.data());
        kernel->narrow(kCount, sums.data(), expected.data());
        kernel->binary_halves(op, kCount, a.data(), x_step, b.data(), z_step, c.data());
        CHECK(c == expected);
      }
    }
  }
}

// Far beyond the places that are turned back by multiplication, and next to the zeros.
TEST(every_micro_kernel_turns_large_angles_back) {
  std::vector<float> x = {3.14159274f, 1.57079637f, 31415.9277f, 99999.5f,
                          999999.0f,   1000001.0f,  1e10f,       -3e38f};
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : kernels()) {
    auto near = [&](Unary op, double (*reference)(double)) {
      kernel->unary(op, 0, 0, static_cast<long>(x.size()), x.data(), y.data());
      for (size_t i = 0; i < x.size(); ++i) {
        double expected = reference(double{x[i]});
        CHECK(std::abs(y[i] - expected) <= 5e-7 * std::abs(expected));
      }
    };
    near(Unary::kSin, std::sin);
    near(Unary::kCos, std::cos);
    near(Unary::kTan, std::tan);
  }
}

TEST(every_micro_kernel_knows_logarithms_of_all_sizes) {
  std::vector<float> x = {1e-45f, 1e-40f, 1.2e-38f, 1e-20f, 0.9999f, 1, 1.0001f, 3e38f, 0, -1, INFINITY, NAN};
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : kernels()) {
    kernel->unary(Unary::kLog, 0, 0, static_cast<long>(x.size()), x.data(), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      double expected = std::log(double{x[i]});
      CHECK(std::isnan(expected)
                ? std::isnan(y[i])
                : y[i] == expected || std::abs(y[i] - expected) <= 2e-7 * std::abs(expected));
    }
  }
}

TEST(every_micro_kernel_inverts_erf) {
  std::vector<float> x = {-1, 1, 0, -0.99999994f, 0.99999994f};
  for (float value = -0.999f; value < 1; value += 0.0137f) x.push_back(value);
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : kernels()) {
    kernel->unary(Unary::kInverseErf, 0, 0, static_cast<long>(x.size()), x.data(), y.data());
    CHECK(y[0] == -INFINITY && y[1] == INFINITY && y[2] == 0);
    for (size_t i = 3; i < x.size(); ++i) {
      double beside = 1 - std::abs(double{x[i]});
      CHECK(std::abs(std::erfc(std::abs(double{y[i]})) - beside) <= 2e-5 * beside + 1e-9);
      CHECK(std::signbit(y[i]) == std::signbit(x[i]));
    }
  }
}

TEST(every_micro_kernel_knows_softmax_and_norm) {
  for (const MicroKernel* kernel : kernels()) {
    for (long count : {1L, 7L, 16L, 77L, 200L}) {
      auto x = noise(static_cast<size_t>(count), 3);
      x[0] = 50;
      std::vector<float> y(x.size()), columns(x.size() * static_cast<size_t>(kernel->columns), 0.0f);
      kernel->softmax(count, x.data(), y.data());
      for (size_t i = 0; i < x.size(); ++i) columns[i * static_cast<size_t>(kernel->columns) + 3] = x[i];
      kernel->softmax_rows(count, columns.data());
      double total = 0, mean = 0, variance = 0;
      for (float value : x) total += std::exp(double{value} - 50), mean += value / double(count);
      for (float value : x) variance += (value - mean) * (value - mean) / double(count);
      for (size_t i = 0; i < x.size(); ++i) {
        double expected = std::exp(double{x[i]} - 50) / total;
        CHECK(std::abs(y[i] - expected) < 1e-6);
        CHECK(std::abs(columns[i * static_cast<size_t>(kernel->columns) + 3] - expected) < 1e-6);
      }
      kernel->normalize(count, 1e-5f, x.data(), nullptr, nullptr, y.data());
      for (size_t i = 0; i < x.size(); ++i)
        CHECK(std::abs(y[i] - (x[i] - mean) / std::sqrt(variance + 1e-5)) < 2e-4);
    }
  }
}

TEST(multiplies_matrices_of_awkward_sizes) {
  struct Size {
    int m, n, k;
  };
  for (Size s : {Size{1, 1, 1}, Size{5, 3, 2}, Size{13, 33, 257}, Size{121, 65, 300}, Size{64, 1100, 20},
                 Size{7, 2, 600}, Size{500, 40, 64}}) {
    auto a = noise(static_cast<size_t>(s.m * s.k), 4), b = noise(static_cast<size_t>(s.n * s.k), 5),
         bias = noise(static_cast<size_t>(s.n), 8);
    std::vector<float> c(static_cast<size_t>(s.m * s.n)), other(c.size());
    Product to{c.data(), s.n, false, bias.data()}, to_other{other.data(), s.n, false, bias.data()};
    multiply(s.m, s.n, s.k, Matrix{a.data(), s.k, 1}, Matrix{b.data(), 1, s.k}, to);  // b as [n, k]
    std::vector<float> rows(b.size());
    for (int k = 0; k < s.k; ++k) {
      for (int j = 0; j < s.n; ++j)
        rows[static_cast<size_t>(k * s.n + j)] = b[static_cast<size_t>(j * s.k + k)];
    }
    limit_threads(1);
    multiply(s.m, s.n, s.k, Matrix{a.data(), s.k, 1}, Matrix{rows.data(), s.n, 1}, to_other);
    limit_threads(0);
    CHECK(c == other);  // whatever the layout and the number of threads
    double worst = 0;
    for (int i = 0; i < s.m; ++i) {
      for (int j = 0; j < s.n; ++j) {
        double sum = bias[static_cast<size_t>(j)];
        for (int k = 0; k < s.k; ++k)
          sum += double{a[static_cast<size_t>(i * s.k + k)]} * b[static_cast<size_t>(j * s.k + k)];
        worst = std::max(worst, std::abs(sum - c[static_cast<size_t>(i * s.n + j)]));
      }
    }
    CHECK(worst < 2e-4);
  }
}

TEST(attends_without_the_matrix_of_scores) {
  int queries = 70, keys = 500, depth = 20, values = 33;
  auto q = noise(static_cast<size_t>(queries * depth), 1), k = noise(static_cast<size_t>(keys * depth), 2),
       v = noise(static_cast<size_t>(keys * values), 3), mask = noise(static_cast<size_t>(queries * keys), 4);
  for (int i = 0; i < queries * keys; i += 3) mask[static_cast<size_t>(i)] = -INFINITY;
  for (int i = 0; i < 300; ++i) mask[static_cast<size_t>(5 * keys + i)] = -INFINITY;  // more than a block
  std::vector<float> y(static_cast<size_t>(queries * values)), again(y.size());
  AttentionSizes sizes{queries, keys, depth, values, 0.5f, MaskType::kFloat32, false};
  Head head{
      {q.data(), depth, 1}, {k.data(), depth, 1}, {v.data(), values, 1}, mask.data(), keys, 1, y.data()};
  attend(sizes, head, 0, queries);
  head.output = again.data();
  attend(sizes, head, 0, 32);
  attend(sizes, head, 32, queries);
  for (int i = 0; i < queries; ++i) {
    std::vector<double> weights;
    double total = 0;
    for (int j = 0; j < keys; ++j) {
      double score = mask[static_cast<size_t>(i * keys + j)];
      for (int d = 0; d < depth; ++d)
        score += 0.5 * q[static_cast<size_t>(i * depth + d)] * k[static_cast<size_t>(j * depth + d)];
      total += weights.emplace_back(std::exp(score));
    }
    for (int d = 0; d < values; ++d) {
      double expected = 0;
      for (int j = 0; j < keys; ++j)
        expected += weights[static_cast<size_t>(j)] / total * v[static_cast<size_t>(j * values + d)];
      CHECK(std::abs(expected - y[static_cast<size_t>(i * values + d)]) < 1e-5);
    }
  }
  CHECK(micro_kernel().columns != 32 || y == again);  // panels of 32 start at the same places
}

TEST(leaves_tasks_out_while_that_is_on) {
  std::atomic<int> done = 0;
  auto work = [&] { parallel_tasks(64, [&](int64_t) { leave_tasks_out(++done == 10); }); };
  limit_threads(1);
  work();
  CHECK(done == 10);
  leave_tasks_out(false);
  limit_threads(0);
  work();
  CHECK(done == 74);
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

TEST(what_a_task_throws_reaches_the_caller_and_the_pool_works_on) {
  for (int round = 0; round < 50; ++round) {
    bool caught = false;
    try {
      parallel_tasks(64, [&](int64_t i) {
        if (i % 16 == round % 16) throw std::bad_alloc();
      });
    } catch (const std::bad_alloc&) {
      caught = true;
    }
    CHECK(caught);
    std::atomic<int64_t> sum = 0;
    parallel_tasks(64, [&](int64_t i) { sum += i; });
    CHECK(sum == 64 * 63 / 2);
  }
}

int main() {
  return check::run_all();
}
