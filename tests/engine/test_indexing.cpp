#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "arrays.h"
#include "check.h"
#include "kernels/gather.h"
#include "kernels/scatter.h"
#include "mlx/random.h"

using mx::array;
namespace kernels = tintype::kernels;
using kernels::Scatter;

namespace {

/** Of an axis of that length, from either end and beyond. */
array indices_of(const mx::Shape& shape, int length, uint64_t seed) {
  array x = mx::random::randint(-length - 2, length + 2, shape, mx::int32, mx::random::key(seed));
  mx::eval(x);
  return x;
}

array within(const array& indices, int length) {
  array x = mx::where(mx::less(indices, array(0)), mx::add(indices, array(length)), indices);
  return mx::clip(x, array(0), array(length - 1));
}

constexpr Scatter kModes[] = {Scatter::kUpdate, Scatter::kAdd, Scatter::kSub, Scatter::kMul,
                              Scatter::kDiv,    Scatter::kMax, Scatter::kMin};

template <typename T>
T met(Scatter mode, T x, T update) {
  switch (mode) {
    case Scatter::kAdd:
      return x + update;
    case Scatter::kSub:
      return x - update;
    case Scatter::kMul:
      return x * update;
    case Scatter::kDiv:
      return update == 0 ? (std::is_integral_v<T> ? 0 : x / update) : x / update;
    case Scatter::kMax:
      return std::max(x, update);
    case Scatter::kMin:
      return std::min(x, update);
    default:
      return update;
  }
}

/** Data [a, n, r] after updates [a, i, r] at indices [i], one after the other. */
template <typename T>
std::vector<T> scattered(Scatter mode, const array& data, const array& indices, const array& updates) {
  std::vector<T> y(data.data<T>(), data.data<T>() + data.size());
  int n = data.shape(1), r = data.shape(2), count = indices.shape(0);
  array places = within(indices, n);
  mx::eval(places);
  for (int a = 0; a < data.shape(0); ++a) {
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < r; ++j) {
        T& to = y[static_cast<size_t>((a * n + places.data<int32_t>()[i]) * r + j)];
        to = met(mode, to, updates.data<T>()[(a * count + i) * r + j]);
      }
    }
  }
  return y;
}

template <typename T>
bool holds(const array& x, const std::vector<T>& values) {
  return std::equal(values.begin(), values.end(), x.data<T>(), x.data<T>() + x.size());
}

}  // namespace

TEST(gathers_slices_in_batches) {
  array x = noise({3, 4, 50, 7}, 1), indices = indices_of({3, 200}, 50, 2);
  array places = within(indices, 50);
  for (mx::Dtype dtype : {mx::float32, mx::float16, mx::int8, mx::int64}) {
    array source = mx::astype(mx::multiply(x, array(20.0f)), dtype);
    array y = at_any_threads([&] { return kernels::gather(source, indices, 2, 1); });
    CHECK(y.shape() == (mx::Shape{3, 4, 200, 7}));
    for (int b = 0; b < 3; ++b) {
      array one = mx::take(mx::take(source, array(b), 0), mx::take(places, array(b), 0), 1);
      CHECK(are_same(mx::take(y, array(b), 0), one));
    }
  }
}

TEST(gathers_at_coordinates) {
  array x = noise({5, 60, 70, 3}, 3), rows = indices_of({5, 4000}, 60, 4),
        columns = indices_of({5, 4000}, 70, 5);
  array both = mx::stack({rows, columns}, 2);
  array y = at_any_threads([&] { return kernels::gather_nd(x, both, 1); });
  CHECK(y.shape() == (mx::Shape{5, 4000, 3}));
  array flat = mx::add(mx::multiply(within(rows, 60), array(70)), within(columns, 70));
  array expected = mx::take_along_axis(mx::reshape(x, {5, 4200, 3}),
                                       mx::broadcast_to(mx::expand_dims(flat, 2), {5, 4000, 3}), 1);
  CHECK(are_same(y, expected));
  array points = at_any_threads([&] { return kernels::gather_nd(mx::reshape(x, {5, 60, 210}), both, 1); });
  CHECK(points.shape() == (mx::Shape{5, 4000}));
}

TEST(gathers_along_any_axis) {
  array x = noise({9, 40, 90}, 6);
  for (int axis = 0; axis < 3; ++axis) {
    mx::Shape shape = x.shape();
    shape[axis] = 170;
    array whole = indices_of(shape, x.shape(axis), 7);
    shape[(axis + 1) % 3] = 1;
    for (const array& indices : {whole, indices_of(shape, x.shape(axis), 8)}) {
      array y = at_any_threads([&] { return kernels::gather_along(x, indices, axis); });
      array places = mx::broadcast_to(within(indices, x.shape(axis)), y.shape());
      CHECK(are_same(y, mx::take_along_axis(x, places, axis)));
    }
  }
}

TEST(scatters_one_update_after_the_other) {
  array indices = indices_of({700}, 60, 9);
  array data = noise({3, 60, 5}, 10), updates = noise({3, 700, 5}, 11);
  array whole = mx::random::randint(-2000000, 2000000, {3, 60, 5}, mx::int32, mx::random::key(12));
  array changes = mx::random::randint(-3, 4, {3, 700, 5}, mx::int32, mx::random::key(13));
  mx::eval(whole, changes);
  for (Scatter mode : kModes) {
    array y = at_any_threads([&] { return kernels::scatter(mode, data, indices, updates, 1); });
    CHECK(holds(y, scattered<float>(mode, data, indices, updates)));
    if (mode == Scatter::kMul) continue;  // which overflows here, as the next test has it
    y = at_any_threads([&] { return kernels::scatter(mode, whole, indices, changes, 1); });
    CHECK(holds(y, scattered<int32_t>(mode, whole, indices, changes)));
  }
}

TEST(products_and_quotients_of_integers_wrap_around) {
  array data({1 << 30, -2147483647 - 1, 7, 5}, mx::int32), indices({0, 1, 2, 3, 3}, mx::int32);
  array updates({6, -1, 0, -3, 2}, mx::int32);
  CHECK(are_same(kernels::scatter(Scatter::kMul, data, indices, updates, 0),
                 array({-2147483647 - 1, -2147483647 - 1, 0, -30}, mx::int32)));
  CHECK(are_same(kernels::scatter(Scatter::kDiv, data, indices, updates, 0),
                 array({(1 << 30) / 6, -2147483647 - 1, 0, 0}, mx::int32)));
}

TEST(scatters_at_coordinates_and_along_an_axis_alike) {
  array data = noise({40, 300}, 14), rows = indices_of({40, 900}, 300, 15), updates = noise({40, 900}, 16);
  array line = mx::broadcast_to(mx::expand_dims(mx::arange(40), 1), {40, 900});
  array both = mx::stack({line, within(rows, 300)}, 2);
  for (Scatter mode : kModes) {
    array along = at_any_threads([&] { return kernels::scatter_along(mode, data, rows, updates, 1); });
    CHECK(are_same(along, at_any_threads([&] { return kernels::scatter_nd(mode, data, both, updates); })));
    array turned =
        kernels::scatter_along(mode, mx::transpose(data), mx::transpose(rows), mx::transpose(updates), 0);
    CHECK(are_same(along, mx::transpose(turned)));
  }
}

TEST(sums_of_halves_are_rounded_once) {
  array data = mx::zeros({1}, mx::float16), indices = mx::zeros({4096}, mx::int32);
  array updates = mx::ones({4096}, mx::float16);
  CHECK(kernels::scatter(Scatter::kAdd, data, indices, updates, 0).item<mx::float16_t>() ==
        mx::float16_t(4096.0f));
}

// A cancelled call leaves out what it has not begun, and nothing is read at indices that were never written.
TEST(nothing_is_gathered_or_scattered_while_tasks_are_left_out) {
  array x = noise({1 << 20}, 17), indices = indices_of({1 << 20}, 1 << 20, 18);
  kernels::leave_tasks_out(true);
  array far = mx::full({64}, array(2147483647)), few = kernels::gather(x, far, 0, 0);
  array y = kernels::gather(x, indices, 0, 0), z = kernels::scatter(Scatter::kAdd, x, indices, x, 0);
  mx::eval(few, y, z);
  kernels::leave_tasks_out(false);
  CHECK(!are_same(y, mx::take(x, within(indices, 1 << 20))));
  CHECK(!are_same(z, kernels::scatter(Scatter::kAdd, x, indices, x, 0)));
}

int main() {
  return check::run_all();
}
