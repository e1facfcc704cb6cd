#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "arrays.h"
#include "check.h"
#include "kernels/integer_matmul.h"
#include "kernels/order.h"
#include "kernels/parallel.h"
#include "kernels/places.h"
#include "kernels/primitives.h"
#include "kernels/random.h"
#include "mlx/random.h"

using namespace tintype::kernels;
namespace mx = mlx::core;
using mx::array;

namespace {

/** Places that are never on a pixel's edge, some of them outside. */
array places(const mx::Shape& shape, int length, uint64_t seed) {
  array x = mx::add(mx::multiply(noise(shape, seed), array(0.5f * static_cast<float>(length))),
                    array(0.4f * static_cast<float>(length)));
  mx::eval(x);
  return x;
}

float pixel(const array& images, int image, int channel, int row, int column, const SamplePlan& plan) {
  int height = images.shape(2), width = images.shape(3);
  bool inside = row >= 0 && row < height && column >= 0 && column < width;
  if (!inside && plan.outside == Outside::kConstant) return plan.value;
  row = std::clamp(row, 0, height - 1), column = std::clamp(column, 0, width - 1);
  return images.data<float>()[((image * images.shape(1) + channel) * height + row) * width + column];
}

double looked_up(const array& images, int image, int channel, float y, float x, const SamplePlan& plan) {
  if (plan.outside == Outside::kNowhere && (std::isnan(y) || std::isnan(x))) return plan.value;
  auto bounded = [](float v, int length) {
    return std::isnan(v) ? -2.0f : std::clamp(v, -2.0f, static_cast<float>(length + 1));
  };
  y = bounded(y, images.shape(2)), x = bounded(x, images.shape(3));
  auto at = [&](int row, int column) { return double{pixel(images, image, channel, row, column, plan)}; };
  if (plan.nearest) return at(static_cast<int>(std::nearbyint(y)), static_cast<int>(std::nearbyint(x)));
  int top = static_cast<int>(std::floor(y)), left = static_cast<int>(std::floor(x));
  double down = y - static_cast<float>(top), right = x - static_cast<float>(left);
  return (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
         down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1));
}

}  // namespace

TEST(takes_slices_of_any_axis_and_type) {
  array x = noise({3, 50, 41}, 1);
  array indices = mx::random::randint(0, 41, {70, 3}, mx::int32, mx::random::key(2));
  for (mx::Dtype dtype : {mx::float32, mx::float16, mx::int8, mx::int64}) {
    for (int axis = 0; axis < 3; ++axis) {
      array source = mx::astype(mx::multiply(x, array(50.0f)), dtype);
      array fit = mx::minimum(indices, array(source.shape(axis) - 1));
      CHECK(are_same(at_any_threads([&] { return tintype::kernels::take(source, fit, axis); }),
                     mx::take(source, fit, axis)));
    }
  }
  array large = noise({4, 300, 200}, 3), order = mx::arange(199, -1, -1, mx::int32);
  CHECK(are_same(at_any_threads([&] { return tintype::kernels::take(large, order, 2); }),
                 mx::take(large, order, 2)));
}

TEST(interpolates_along_any_axis) {
  array x = noise({5, 90, 130}, 4);
  for (int axis = 0; axis < 3; ++axis) {
    Neighbours places;
    int length = x.shape(axis);
    for (int i = 0; i < 2 * length + 1; ++i) {
      float place = std::min(static_cast<float>(i) * 0.49f, static_cast<float>(length - 1));
      places.low.push_back(static_cast<int>(place));
      places.high.push_back(std::min(static_cast<int>(place) + 1, length - 1));
      places.share.push_back(place - std::floor(place));
    }
    int count = static_cast<int>(places.low.size());
    mx::Shape shape(3, 1);
    shape[axis] = count;
    for (mx::Dtype from : {mx::float32, mx::float16}) {
      for (mx::Dtype to : {mx::float32, mx::float16}) {
        array source = mx::astype(x, from), wide = mx::astype(source, mx::float32);
        array low = mx::take(wide, array(places.low.begin(), {count}), axis),
              high = mx::take(wide, array(places.high.begin(), {count}), axis);
        array share(places.share.begin(), shape);
        array expected = mx::astype(mx::add(low, mx::multiply(mx::subtract(high, low), share)), to);
        CHECK(are_same(at_any_threads([&] { return interpolate(source, axis, places, to); }), expected));
      }
    }
  }
}

TEST(samples_images_at_any_place) {
  array images = noise({3, 5, 13, 17}, 5);
  array y = places({4, 2, 20, 30}, 13, 6), x = places({4, 2, 20, 30}, 17, 7);
  y.data<float>()[3] = NAN, x.data<float>()[40] = INFINITY, y.data<float>()[41] = -3e38f;
  array image = mx::random::randint(0, 3, {4, 2, 20, 30}, mx::int32, mx::random::key(8));
  mx::eval(image);
  for (bool nearest : {false, true}) {
    for (Outside outside : {Outside::kConstant, Outside::kBorder, Outside::kNowhere}) {
      SamplePlan plan{nearest, outside, 2.5f, 2};
      array pixels = at_any_threads([&] { return sample(images, image, y, x, plan); });
      CHECK(pixels.shape() == mx::Shape({4, 2, 5, 20, 30}));
      double farthest = 0;
      for (int lead = 0; lead < 8; ++lead) {
        for (int channel = 0; channel < 5; ++channel) {
          for (int i = 0; i < 600; ++i) {
            int place = lead * 600 + i;
            double expected = looked_up(images, image.data<int32_t>()[place], channel, y.data<float>()[place],
                                        x.data<float>()[place], plan);
            double got = double{pixels.data<float>()[(lead * 5 + channel) * 600 + i]};
            farthest = std::max(farthest, std::abs(got - expected));
          }
        }
      }
      CHECK(farthest < 2e-6);
    }
  }
}

TEST(orders_lines_and_keeps_ties_as_they_lie) {
  std::vector<float> edges = {1, -0.0f, 0, INFINITY, NAN, -1, 1, -INFINITY, 3e-45f};
  array x(edges.begin(), {1, 9});
  auto order = [&](int count, bool ascending) {
    array y = order_last(x, count, ascending);
    mx::eval(y);
    return std::vector<int>(y.data<int32_t>(), y.data<int32_t>() + count);
  };
  CHECK(order(9, true) == (std::vector<int>{7, 5, 1, 2, 8, 0, 6, 3, 4}));
  CHECK(order(9, false) == (std::vector<int>{3, 0, 6, 8, 1, 2, 5, 7, 4}));
  CHECK(order(3, false) == (std::vector<int>{3, 0, 6}));
  array whole({5, -2147483647 - 1, 2147483647, 5, -1}, {1, 5}, mx::int32);
  array places = order_last(whole, 5, false);
  mx::eval(places);
  CHECK(std::vector<int>(places.data<int32_t>(), places.data<int32_t>() + 5) ==
        (std::vector<int>{2, 0, 3, 4, 1}));
  array many = mx::round(mx::multiply(noise({300, 77}, 9), array(4.0f)));
  array expected = mx::astype(mx::argsort(many, -1), mx::int32);
  CHECK(are_same(at_any_threads([&] { return order_last(many, 77, true); }), expected));
  CHECK(are_same(at_any_threads([&] { return order_last(many, 5, true); }),
                 mx::slice(expected, {0, 0}, {300, 5})));
}

TEST(multiplies_integers_and_wraps_around) {
  struct Size {
    int m, n, k;
  };
  for (Size s : {Size{1, 1, 1}, Size{3, 5, 0}, Size{6, 257, 9}, Size{9, 600, 33}}) {
    array x = mx::random::randint(-2147483647, 2147483647, {2, 1, s.m, s.k}, mx::int32, mx::random::key(1));
    array y = mx::random::randint(-2147483647, 2147483647, {3, s.n, s.k}, mx::int32, mx::random::key(2));
    array turned = mx::swapaxes(y, 1, 2);
    array product = at_any_threads([&] { return multiply_integers(x, turned); });
    CHECK(product.shape() == (mx::Shape{2, 3, s.m, s.n}));
    mx::eval(x, y);
    const int32_t *a = x.data<int32_t>(), *b = y.data<int32_t>(), *c = product.data<int32_t>();
    bool same = true;
    for (int place = 0; place < 6 * s.m * s.n; ++place) {
      int column = place % s.n, row = place / s.n % s.m, batch = place / (s.n * s.m);
      uint32_t sum = 0;
      for (int i = 0; i < s.k; ++i)
        sum += static_cast<uint32_t>(a[(batch / 3 * s.m + row) * s.k + i]) *
               static_cast<uint32_t>(b[(batch % 3 * s.n + column) * s.k + i]);
      same = same && static_cast<uint32_t>(c[place]) == sum;
    }
    CHECK(same);
  }
  array line = mx::arange(0, 4, mx::int32), square = mx::reshape(mx::arange(0, 16, mx::int32), {4, 4});
  CHECK(multiply_integers(line, line).item<int32_t>() == 14);
  CHECK(are_same(multiply_integers(line, square), array({56, 62, 68, 74}, mx::int32)));
  CHECK(are_same(multiply_integers(square, line), array({14, 38, 62, 86}, mx::int32)));
}

TEST(draws_the_numbers_that_mlx_draws) {
  for (int count : {1, 2, 3, 7, 1000, 100001}) {
    array expected =
        mx::random::uniform(array(-2.0f), array(3.0f), {count}, mx::float32, mx::random::key(77));
    CHECK(are_same(at_any_threads([&] { return random_uniform({count}, -2, 3, 77); }), expected));
  }
}

// A cancelled call leaves out what it has not begun.
TEST(draws_nothing_while_tasks_are_left_out) {
  leave_tasks_out(true);
  array x = random_uniform({1 << 20}, 5, 6, 1);
  mx::eval(x);
  leave_tasks_out(false);
  auto drawn = [&] {
    return std::count_if(x.data<float>(), x.data<float>() + x.size(), [](float v) { return v >= 5; });
  };
  CHECK(drawn() < 1 << 20);
  x = random_uniform({1 << 20}, 5, 6, 1);
  mx::eval(x);
  CHECK(drawn() == 1 << 20);
}

int main() {
  return check::run_all();
}
