#include <atomic>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "check.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "micro_kernels.h"

using namespace tintype::kernels;

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
