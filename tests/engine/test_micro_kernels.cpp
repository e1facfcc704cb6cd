#include <cmath>
#include <utility>
#include <vector>

#include "check.h"
#include "micro_kernels.h"

using namespace tintype::kernels;

TEST(every_micro_kernel_multiplies_a_tile) {
  for (const MicroKernel* kernel : micro_kernels()) {
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
  for (const MicroKernel* kernel : micro_kernels()) {
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
  for (const MicroKernel* kernel : micro_kernels()) {
    std::vector<float> widened(all.size());
    kernel->widen(65536, all.data(), widened.data());
    for (size_t i = 0; i < all.size(); ++i)
      CHECK(std::isnan(expected[i]) ? std::isnan(widened[i]) : widened[i] == expected[i]);
    kernel->narrow(count, values.data(), others.data());
    CHECK(others == halves);
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
  for (const MicroKernel* kernel : micro_kernels()) {
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

TEST(every_micro_kernel_knows_softmax_and_norm) {
  for (const MicroKernel* kernel : micro_kernels()) {
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

TEST(every_micro_kernel_slides_windows) {
  auto x = noise(600, 10), weights = noise(5, 11);
  x[300] = NAN;
  std::vector<long> places = {3, 0, 41, 40, 17};
  for (const MicroKernel* kernel : micro_kernels()) {
    for (long count : {1L, 15L, 16L, 70L, 500L}) {
      std::vector<float> sums(static_cast<size_t>(count) + 1, -7.0f), largest = sums;
      kernel->slide_sum(count, 5, places.data(), weights.data(), 0.5f, x.data(), sums.data());
      kernel->slide_max(count, 5, places.data(), x.data(), largest.data());
      CHECK(sums.back() == -7 && largest.back() == -7);  // beyond the count nothing is written
      for (long i = 0; i < count; ++i) {
        double sum = 0.5;
        float highest = -INFINITY;
        for (size_t t = 0; t < places.size(); ++t) {
          float value = x[static_cast<size_t>(i + places[t])];
          sum += double{weights[t]} * value;
          if (!(highest > value) && !std::isnan(highest)) highest = value;
        }
        auto at = static_cast<size_t>(i);
        CHECK(std::isnan(sum) ? std::isnan(sums[at]) : std::abs(sums[at] - sum) < 1e-5);
        CHECK(std::isnan(highest) ? std::isnan(largest[at]) : largest[at] == highest);
      }
    }
  }
}

int main() {
  return check::run_all();
}
