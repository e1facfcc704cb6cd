#include <cstdint>
#include <vector>

#include "arrays.h"
#include "check.h"
#include "kernels/marks.h"

namespace kernels = tintype::kernels;
using mx::array;

TEST(keeps_a_band_of_any_type) {
  for (mx::Shape shape : {mx::Shape{3, 1}, mx::Shape{2, 300, 170}, mx::Shape{170, 300}}) {
    array distance =
        mx::subtract(mx::expand_dims(mx::arange(shape[shape.size() - 2]), 1), mx::arange(shape.back()));
    for (mx::Dtype dtype : {mx::float32, mx::float16, mx::int8, mx::int64}) {
      array x = mx::astype(mx::multiply(noise(shape, 1), array(30.0f)), dtype);
      for (std::pair<int, int> band : {std::pair{0, 0}, std::pair{-1, 2}, std::pair{3, -1}, std::pair{-1, -1},
                                       std::pair{1000, 1}, std::pair{2147483647, 2147483647}}) {
        int lower = band.first, upper = band.second;  // clang lets no lambda have the parts of a binding
        array keep = mx::full(distance.shape(), array(true));
        if (lower >= 0) keep = mx::logical_and(keep, mx::less_equal(distance, array(lower)));
        if (upper >= 0) keep = mx::logical_and(keep, mx::greater_equal(distance, array(-upper)));
        array y = at_any_threads([&] { return kernels::band_part(x, lower, upper); });
        CHECK(are_same(y, mx::where(keep, x, array(0, dtype))));
      }
    }
  }
}

TEST(marks_an_index_along_any_axis) {
  array indices({4, 0, -1, 7, 3, 8, 2147483647, 6}, {2, 4}, mx::int32);
  for (mx::Dtype dtype : {mx::float32, mx::float16, mx::int8, mx::int64}) {
    array on(7, dtype), off(-2, dtype);
    array last = mx::where(mx::equal(mx::expand_dims(indices, -1), mx::arange(8)), on, off);
    for (int axis = 0; axis < 3; ++axis) {
      array y = at_any_threads([&] { return kernels::one_hot(indices, 8, axis, on, off); });
      CHECK(are_same(y, mx::moveaxis(last, -1, axis)));
    }
  }
  CHECK(kernels::one_hot(indices, 0, 1, array(1), array(0)).shape() == (mx::Shape{2, 0, 4}));
}

TEST(finds_the_places_of_flags) {
  array flags = mx::greater(noise({70, 30, 100}, 2), array(0.5f));
  mx::eval(flags);
  kernels::SetFlags found(flags.data<bool>(), static_cast<int64_t>(flags.size()));
  std::vector<int32_t> places(static_cast<size_t>(found.count()) * 3), expected;
  found.write_places(flags.shape(), places.data());
  for (int i = 0; i < static_cast<int>(flags.size()); ++i) {
    if (flags.data<bool>()[i]) expected.insert(expected.end(), {i / 3000, i / 100 % 30, i % 100});
  }
  CHECK(places == expected);
  CHECK(kernels::SetFlags(nullptr, 0).count() == 0);
}

// A cancelled call leaves out what it has not begun.
TEST(nothing_is_marked_while_tasks_are_left_out) {
  array x = noise({1024, 1024}, 3), indices = mx::arange(1 << 20);
  kernels::leave_tasks_out(true);
  array y = kernels::band_part(x, 3, 3), z = kernels::one_hot(indices, 3, 1, array(5), array(6));
  mx::eval(y, z);
  kernels::leave_tasks_out(false);
  CHECK(!are_same(y, kernels::band_part(x, 3, 3)));
  CHECK(!are_same(z, kernels::one_hot(indices, 3, 1, array(5), array(6))));
}

int main() {
  return check::run_all();
}
