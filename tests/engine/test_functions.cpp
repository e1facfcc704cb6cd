#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "check.h"
#include "micro_kernels.h"

using namespace tintype::kernels;

namespace {

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

TEST(every_micro_kernel_knows_its_functions) {
  float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0, 1, -1, 87, -87, 1e-20f, 0.3f, -0.624f, 0.626f};
  for (float value = -20; value < 20; value += 0.37f) x.push_back(value);
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : micro_kernels()) {
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
    for (const MicroKernel* kernel : micro_kernels()) {
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
  for (const MicroKernel* kernel : micro_kernels()) {
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

// Far beyond the places that are turned back by multiplication, and next to the zeros.
TEST(every_micro_kernel_turns_large_angles_back) {
  std::vector<float> x = {3.14159274f, 1.57079637f, 31415.9277f, 99999.5f,
                          999999.0f,   1000001.0f,  1e10f,       -3e38f};
  std::vector<float> y(x.size());
  for (const MicroKernel* kernel : micro_kernels()) {
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
  for (const MicroKernel* kernel : micro_kernels()) {
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
  for (const MicroKernel* kernel : micro_kernels()) {
    kernel->unary(Unary::kInverseErf, 0, 0, static_cast<long>(x.size()), x.data(), y.data());
    CHECK(y[0] == -INFINITY && y[1] == INFINITY && y[2] == 0);
    for (size_t i = 3; i < x.size(); ++i) {
      double beside = 1 - std::abs(double{x[i]});
      CHECK(std::abs(std::erfc(std::abs(double{y[i]})) - beside) <= 2e-5 * beside + 1e-9);
      CHECK(std::signbit(y[i]) == std::signbit(x[i]));
    }
  }
}

int main() {
  return check::run_all();
}
