#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "arrays.h"
#include "check.h"
#include "kernels/primitives.h"

using namespace tintype::kernels;
using mx::array;

namespace {

struct Geometry {
  int height, width;
  std::array<int, 2> kernel, strides, dilations, before, after;

  int length(size_t axis) const {
    int size = (axis == 0 ? height : width) + before[axis] + after[axis];
    return (size - (kernel[axis] - 1) * dilations[axis] - 1) / strides[axis] + 1;
  }
};

/** Lines of one and of many vectors, strides beyond the kernel, images of several strips. */
std::vector<Geometry> geometries() {
  return {
      {1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},      {9, 14, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {32, 32, {7, 7}, {1, 1}, {1, 1}, {3, 3}, {3, 3}},    {17, 50, {3, 2}, {2, 3}, {1, 1}, {1, 0}, {0, 1}},
      {20, 21, {3, 3}, {1, 2}, {3, 2}, {3, 2}, {3, 2}},    {13, 40, {2, 2}, {5, 4}, {1, 1}, {0, 3}, {1, 0}},
      {1, 900, {1, 9}, {1, 1}, {1, 1}, {0, 4}, {0, 4}},    {300, 200, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {11, 12, {3, 3}, {1, 1}, {1, 1}, {-1, -2}, {0, -1}},
  };
}

/** Visits what lies under the window at (i, j): the window's element and the pixel's place, if it is inside.
 */
template <typename Visit>
void look(const Geometry& g, int i, int j, const Visit& visit) {
  for (int k = 0; k < g.kernel[0]; ++k) {
    for (int l = 0; l < g.kernel[1]; ++l) {
      int y = i * g.strides[0] + k * g.dilations[0] - g.before[0],
          x = j * g.strides[1] + l * g.dilations[1] - g.before[1];
      if (y >= 0 && y < g.height && x >= 0 && x < g.width) visit(k * g.kernel[1] + l, y * g.width + x);
    }
  }
}

/** The largest difference between `got` [n, c, h, w] and what `expected(image, i, j)` says. */
template <typename Expected>
double farthest(const Geometry& g, array got, const Expected& expected) {
  got = mx::astype(got, mx::float32);
  mx::eval(got);
  CHECK(got.shape(2) == g.length(0) && got.shape(3) == g.length(1));
  double most = 0;
  for (int image = 0, place = 0; image < got.shape(0) * got.shape(1); ++image) {
    for (int i = 0; i < got.shape(2); ++i) {
      for (int j = 0; j < got.shape(3); ++j, ++place) {
        double wanted = expected(image, i, j), difference = wanted - double{got.data<float>()[place]};
        most = std::max(most, difference == difference ? std::abs(difference) / (1 + std::abs(wanted)) : 0);
      }
    }
  }
  return most;
}

}  // namespace

TEST(convolves_groups_of_one_channel) {
  for (const Geometry& g : geometries()) {
    for (int each : {1, 2}) {  // results a channel
      array x = noise({2, 3, g.height, g.width}, 1),
            weight = noise({3 * each, 1, g.kernel[0], g.kernel[1]}, 2);
      array bias = noise({3 * each}, 3);
      ConvPlan plan{g.strides, g.dilations, g.before, g.after, 3};
      array wide = at_any_threads([&] { return conv2d(x, weight, bias, plan, mx::float32); });
      auto value = [&](int image, int i, int j) {
        int channel = image % (3 * each);
        double sum = bias.data<float>()[channel];
        look(g, i, j, [&](int element, int pixel) {
          sum += double{weight.data<float>()[channel * g.kernel[0] * g.kernel[1] + element]} *
                 x.data<float>()[image / each * g.height * g.width + pixel];
        });
        return sum;
      };
      CHECK(farthest(g, wide, value) < 1e-5);
      array halves = conv2d(mx::astype(x, mx::float16), weight, bias, plan, mx::float16);
      CHECK(halves.dtype() == mx::float16);
      CHECK(farthest(g, halves, value) < 2e-2);
    }
  }
}

TEST(follows_a_convolution_of_one_channel_a_group_by_a_function) {
  array x = noise({2, 5, 150, 140}, 4), weight = noise({5, 1, 3, 3}, 5), scale = noise({5, 1, 1}, 6);
  ConvPlan plan{{1, 1}, {1, 1}, {1, 1}, {1, 1}, 5};
  auto made = [&](bool absorbs) {
    array y = conv2d(x, weight, std::nullopt, plan, mx::float16);
    y = unary(Unary::kRelu, y, mx::float16, 0, 0, {.x = absorbs});
    return binary(Binary::kMul, y, scale, mx::float16, {.x = absorbs});
  };
  CHECK(are_same(at_any_threads([&] { return made(true); }), made(false)));
}

TEST(pools_windows) {
  for (Geometry g : geometries()) {
    g.dilations = {1, 1};
    array x = noise({2, 3, g.height, g.width}, 7);
    PoolPlan plan{g.kernel, g.strides, g.before, {g.length(0), g.length(1)}};
    CHECK(can_pool(x, plan));
    auto value = [&](int image, int i, int j, bool sums) {
      double result = sums ? 0 : -INFINITY;
      look(g, i, j, [&](int, int pixel) {
        double one = x.data<float>()[image * g.height * g.width + pixel];
        result = sums ? result + one : std::max(result, one);
      });
      return result;
    };
    for (bool sums : {true, false}) {
      auto expected = [&](int image, int i, int j) { return value(image, i, j, sums); };
      PoolKind kind = sums ? PoolKind::kSum : PoolKind::kMax;
      CHECK(farthest(g, at_any_threads([&] { return pool2d(x, kind, plan, mx::float32); }), expected) < 1e-5);
      array halves = pool2d(mx::astype(x, mx::float16), kind, plan, mx::float16);
      CHECK(halves.dtype() == mx::float16);
      CHECK(farthest(g, halves, expected) < 2e-2);
    }
  }
}

TEST(leaves_pools_of_many_elements_to_others) {
  array x = noise({1, 1, 40, 40}, 8);
  CHECK(!can_pool(x, {{17, 17}, {1, 1}, {0, 0}, {24, 24}}));
  CHECK(!can_pool(mx::astype(x, mx::int32), {{2, 2}, {1, 1}, {0, 0}, {39, 39}}));
  CHECK(!can_pool(x, {{2, 2}, {1, 1}, {0, 1 << 23}, {39, 1 << 23}}));
}

TEST(pools_along_any_axis) {
  array x = noise({5, 40, 900}, 9);
  for (int axis = 0; axis < 3; ++axis) {
    int size = x.shape(axis);
    for (AxisPlan plan : {AxisPlan{axis, 3, 1, 1, size}, AxisPlan{axis, size, 1, size / 2, size},
                          AxisPlan{axis, 2, 3, 0, (size - 2) / 3 + 1}, AxisPlan{axis, 4, 2, 3, size / 2},
                          AxisPlan{axis, 2, 1, -1, size - 2}}) {
      for (PoolKind kind : {PoolKind::kSum, PoolKind::kMax}) {
        array y = at_any_threads([&] { return pool_axis(x, kind, plan); });
        CHECK(y.shape(axis) == plan.length);
        for (int i = 0; i < plan.length; ++i) {
          mx::Shape start(3, 0), stop = x.shape();
          start[axis] = std::max(0, i * plan.stride - plan.before);
          stop[axis] = std::min(size, i * plan.stride - plan.before + plan.kernel);
          array window = mx::slice(x, start, stop);
          array expected = kind == PoolKind::kSum ? mx::sum(window, axis) : mx::max(window, axis);
          array error = mx::max(mx::abs(mx::subtract(mx::take(y, array(i), axis), expected)));
          CHECK(error.item<float>() <=
                (kind == PoolKind::kSum ? 2e-5f * std::sqrt(static_cast<float>(plan.kernel)) : 0));
        }
      }
    }
  }
}

int main() {
  return check::run_all();
}
