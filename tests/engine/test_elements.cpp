#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "arrays.h"
#include "check.h"
#include "kernels/cpu_primitive.h"
#include "kernels/elements.h"
#include "kernels/evaluate.h"
#include "micro_kernels.h"

using namespace tintype::kernels;
using mx::array;

namespace {

constexpr float kInf = INFINITY, kNan = NAN;
constexpr int32_t kLowest = std::numeric_limits<int32_t>::min(),
                  kHighest = std::numeric_limits<int32_t>::max();

/** All pairs of `values`. */
template <typename T>
struct Pairs {
  explicit Pairs(const std::vector<T>& values) {
    for (T a : values) {
      for (T b : values) x.push_back(a), y.push_back(b);
    }
  }
  std::vector<T> x, y;
};

bool agree(float got, double expected, double tolerance) {
  if (std::isnan(expected)) return std::isnan(got);
  auto rounded = static_cast<float>(expected);
  if (rounded == 0 || std::isinf(rounded))
    return got == rounded && std::signbit(got) == std::signbit(expected);
  return std::abs(got - expected) <= tolerance * std::abs(expected) + 1.5e-45;
}

template <typename Expected>
void check_floats(Element op, const Pairs<float>& pairs, double tolerance, const Expected& expected) {
  for (const MicroKernel* kernel : micro_kernels()) {
    std::vector<float> z(pairs.x.size());
    const void* from[] = {pairs.x.data(), pairs.y.data(), nullptr};
    kernel->element(op, 0, 0, static_cast<long>(z.size()), from, z.data());
    bool right = true;
    for (size_t i = 0; i < z.size(); ++i) {
      if (agree(z[i], expected(pairs.x[i], pairs.y[i]), tolerance)) continue;
      std::printf("op %d of %g and %g: %g\n", static_cast<int>(op), pairs.x[i], pairs.y[i], z[i]);
      right = false;
    }
    CHECK(right);
  }
}

template <typename Expected>
void check_integers(Element op, const Expected& expected) {
  Pairs<int32_t> pairs(
      {0, 1, -1, 2, -2, 3, -3, 7, 31, -32, 46341, 1 << 30, -65537, kLowest, kHighest, kHighest - 1});
  for (const MicroKernel* kernel : micro_kernels()) {
    std::vector<int32_t> z(pairs.x.size());
    const void* from[] = {pairs.x.data(), pairs.y.data(), nullptr};
    kernel->element(op, 0, 0, static_cast<long>(z.size()), from, z.data());
    bool right = true;
    for (size_t i = 0; i < z.size(); ++i) right = right && z[i] == expected(pairs.x[i], pairs.y[i]);
    CHECK(right);
  }
}

const std::vector<float> kFloats = {
    0.0f, -0.0f,    1,           -1,          2,          -2,         0.5f,  -0.5f,  3,
    -3,   7.25f,    -7.25f,      1e-3f,       1e10f,      -1e20,      3e38f, 1e-40f, -1e-45f,
    0.1f, 16777216, 16777215.0f, -8388607.0f, 1.0000001f, 0.9999999f, kInf,  -kInf,  kNan};

// numpy's.
double floor_mod(float x, float y) {
  float rest = std::fmod(x, y);
  if (rest == 0) return std::copysign(0.0f, y);
  return (y < 0) != (rest < 0) ? rest + y : rest;
}

double floor_quotient(float x, float y) {
  if (y == 0) return x / y;
  float rest = std::fmod(x, y), quotient = (x - rest) / y;
  if (rest != 0 && (y < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0f, x / y);
  float floor = std::floor(quotient);
  return quotient - floor > 0.5f ? floor + 1 : floor;
}

int32_t wrapped_power(int32_t x, int32_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
  uint32_t power = 1, base = static_cast<uint32_t>(x);
  for (; y; y >>= 1, base *= base) power *= y & 1 ? base : 1;
  return static_cast<int32_t>(power);
}

}  // namespace

TEST(powers_are_those_of_c_at_all_ends) {
  check_floats(Element::kPow, Pairs<float>(kFloats), 6e-8,
               [](float x, float y) { return std::pow(double{x}, double{y}); });
  std::vector<float> close;
  for (int i = 0; i < 300; ++i) close.push_back(0.37f + 0.011f * static_cast<float>(i));
  check_floats(Element::kPow, Pairs<float>(close), 6e-8,
               [](float x, float y) { return std::pow(double{x}, double{y}); });
}

TEST(remainders_and_floored_quotients_are_numpys) {
  check_floats(Element::kMod, Pairs<float>(kFloats), 0, floor_mod);
  check_floats(Element::kFloorDiv, Pairs<float>(kFloats), 0, floor_quotient);
}

TEST(integers_wrap_around_and_nothing_traps) {
  auto wide = [](int64_t v) { return static_cast<int32_t>(static_cast<uint32_t>(v)); };
  check_integers(Element::kIntAdd, [&](int64_t x, int64_t y) { return wide(x + y); });
  check_integers(Element::kIntSub, [&](int64_t x, int64_t y) { return wide(x - y); });
  check_integers(Element::kIntMul, [&](int64_t x, int64_t y) { return wide(x * y); });
  check_integers(Element::kIntMax, [&](int64_t x, int64_t y) { return wide(std::max(x, y)); });
  check_integers(Element::kIntMin, [&](int64_t x, int64_t y) { return wide(std::min(x, y)); });
  check_integers(Element::kIntDiv, [&](int64_t x, int64_t y) { return y ? wide(x / y) : 0; });
  check_integers(Element::kIntFloorDiv, [&](int64_t x, int64_t y) {
    return y ? wide(x / y - (x % y != 0 && (x < 0) != (y < 0))) : 0;
  });
  check_integers(Element::kIntMod, [&](int64_t x, int64_t y) { return y ? wide((x % y + y) % y) : 0; });
  check_integers(Element::kIntPow, wrapped_power);
}

TEST(floats_become_integers_within_the_range) {
  std::vector<float> x = {0,     -0.9f, 1.9f, 2147483520.0f, 2147483648.0f, -2147483648.0f,
                          -3e9f, 1e30f, kInf, -kInf,         kNan};
  std::vector<int32_t> expected = {0,       0,        1,        2147483520, kHighest, kLowest,
                                   kLowest, kHighest, kHighest, kLowest,    0};
  for (const MicroKernel* kernel : micro_kernels()) {
    std::vector<int32_t> y(x.size());
    const void* from[] = {x.data(), nullptr, nullptr};
    kernel->element(Element::kFloatToInt, 0, 0, static_cast<long>(x.size()), from, y.data());
    CHECK(y == expected);
  }
}

TEST(elements_broadcast_as_mlx_does) {
  struct Shapes {
    mx::Shape x, y, z;
  };
  for (const Shapes& s :
       {Shapes{{}, {}, {}}, Shapes{{3, 1, 70}, {50, 1}, {70}}, Shapes{{2, 5000}, {1}, {2, 1}},
        Shapes{{100, 3}, {3}, {100, 3}}, Shapes{{4, 0}, {1}, {0}}, Shapes{{9, 7, 300}, {7, 1}, {9, 1, 1}}}) {
    for (mx::Dtype dtype : {mx::float32, mx::float16}) {
      array x = mx::astype(noise(s.x, 1), dtype), y = mx::astype(noise(s.y, 2), dtype),
            z = mx::astype(noise(s.z, 3), dtype);
      array less = at_any_threads([&] { return *element(Element::kLess, {x, y}, mx::bool_); });
      CHECK(are_same(less, mx::less(x, y)));
      CHECK(are_same(at_any_threads([&] { return select(less, y, z); }), mx::where(less, y, z)));
      CHECK(are_same(at_any_threads([&] { return *element(Element::kFloor, {x}, dtype); }), mx::floor(x)));
      array halved = at_any_threads([&] { return *element(Element::kPrelu, {x, y}, mx::float16); });
      array wide = mx::astype(x, mx::float32);
      CHECK(are_same(halved, mx::astype(mx::where(mx::less(wide, array(0.0f)),
                                                  mx::multiply(wide, mx::astype(y, mx::float32)),
                                                  mx::broadcast_to(wide, halved.shape())),
                                        mx::float16)));
    }
  }
}

TEST(elements_of_other_types_are_left_to_mlx) {
  array x = mx::ones({4}, mx::int64), y = noise(mx::Shape{4}, 1);
  CHECK(!element(Element::kIntAdd, {x, x}, mx::int64));
  CHECK(!element(Element::kPow, {y, x}, mx::float32));
  CHECK(!element(Element::kPow, {y, y}, mx::bfloat16));
  CHECK(are_same(select(mx::less(y, array(0.0f)), x, x), x));
}

// A cancelled call leaves out what it has not begun, of MLX's own as well.
TEST(nothing_is_evaluated_while_tasks_are_left_out) {
  array x = noise(mx::Shape{1 << 21}, 1);
  auto floored = [&] { return mx::floor(mx::multiply(x, array(3.0f))); };
  leave_tasks_out(true);
  array y = *element(Element::kFloor, {x}, mx::float32), z = floored();
  mx::eval(y);
  CHECK(!evaluate({z}));
  CHECK(!z.is_available());
  leave_tasks_out(false);
  CHECK(!are_same(y, mx::floor(x)));
  CHECK(evaluate({z}));
  CHECK(z.is_available());
  CHECK(are_same(z, floored()));
}

namespace {

/** Finds no memory for its work. */
class Failing : public CpuPrimitive {
 public:
  using CpuPrimitive::CpuPrimitive;
  const char* name() const override { return "Failing"; }
  void eval_cpu(const std::vector<array>&, array& out) override {
    allocate(out);
    dispatch(stream(), [] { parallel_tasks(8, [](int64_t) { throw std::bad_alloc(); }); });
  }
};

}  // namespace

TEST(memory_that_is_not_there_ends_an_evaluation_on_any_thread) {
  auto failing = [] { return array({4}, mx::float32, std::make_shared<Failing>(cpu_stream()), {}); };
  int caught = 0;
  for (const array& x : {failing(), mx::floor(failing())}) {  // here, and on MLX's thread
    try {
      CHECK(evaluate({x}));
    } catch (const std::bad_alloc&) {
      ++caught;
    }
  }
  CHECK(caught == 2);
  CHECK(evaluate({mx::floor(noise(mx::Shape{4}, 1))}));
}

int main() {
  return check::run_all();
}
