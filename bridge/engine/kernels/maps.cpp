// Element by element and row by row.
#include <algorithm>
#include <numeric>

#include "kernels/cpu_primitive.h"
#include "kernels/elements.h"
#include "kernels/large_pages.h"
#include "kernels/parallel.h"
#include "kernels/primitives.h"
#include "kernels/spread.h"
#include "kernels/tail.h"

namespace tintype::kernels {

void* allocate(array& out) {
  out.set_data(mx::allocator::malloc(out.nbytes()));
  auto* data = out.data<char>();
  if (!data && out.size()) throw std::bad_alloc();
  want_large_pages(data, out.nbytes());
  return data;
}

const float* read(const MicroKernel& kernel, const void* data, int64_t place, int64_t count, bool half,
                  float* buffer) {
  if (!half) return static_cast<const float*>(data) + place;
  kernel.widen(count, static_cast<const uint16_t*>(data) + place, buffer);
  return buffer;
}

void write(const MicroKernel& kernel, const float* from, void* data, int64_t place, int64_t count,
           bool half) {
  if (half) kernel.narrow(count, from, static_cast<uint16_t*>(data) + place);
}

namespace {

class Map : public CpuPrimitive {
 public:
  Map(mx::Stream stream, Unary op, float a, float b) : CpuPrimitive(stream), op_(op), a_(a), b_(b) {}
  const char* name() const override { return "TintypeMap"; }
  Step step(const array& out) const { return {.unary = op_, .a = a_, .b = b_, .half = is_half(out)}; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    void* y = allocate(out);
    const array& in = inputs[0];
    dispatch(stream(),
             [y, x = static_cast<const void*>(in.data<char>()), count = static_cast<int64_t>(out.size()),
              x_half = is_half(in), y_half = is_half(out), op = op_, a = a_, b = b_] {
               const MicroKernel& kernel = micro_kernel();
               parallel(count, kGrain, [&](int64_t first, int64_t last) {
                 if (x_half && y_half)
                   return kernel.unary_halves(op, a, b, last - first, static_cast<const uint16_t*>(x) + first,
                                              static_cast<uint16_t*>(y) + first);
                 float buffer[kPiece], result[kPiece];
                 for (int64_t i = first; i < last; i += kPiece) {
                   int64_t size = std::min(kPiece, last - i);
                   float* to = target(y, i, y_half, result);
                   kernel.unary(op, a, b, size, read(kernel, x, i, size, x_half, buffer), to);
                   write(kernel, to, y, i, size, y_half);
                 }
               });
             });
  }

 private:
  Unary op_;
  float a_, b_;
};

class Zip : public CpuPrimitive {
 public:
  Zip(mx::Stream stream, Binary op) : CpuPrimitive(stream), op_(op) {}
  const char* name() const override { return "TintypeZip"; }
  Step step(const array& out, bool swapped) const {
    return {.is_binary = true, .binary = op_, .swapped = swapped, .half = is_half(out)};
  }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array &a = inputs[0], &b = inputs[1];
    void* z = take_over(a, out) || take_over(b, out) ? out.data<char>() : allocate(out);
    if (out.size() == 0) return;
    dispatch(stream(), [z, spread = Spread(out, {&a, &b}), x = static_cast<const void*>(a.data<char>()),
                        y = static_cast<const void*>(b.data<char>()), x_half = is_half(a),
                        y_half = is_half(b), half = is_half(out), op = op_,
                        all = static_cast<int64_t>(out.size())] {
      const MicroKernel& kernel = micro_kernel();
      int64_t inner = spread.shape[0], pieces = (inner + kPiece - 1) / kPiece, size = std::min(inner, kPiece);
      int x_step = spread.step(0), y_step = spread.step(1);
      parallel(all / inner * pieces, std::max<int64_t>(1, kGrain / size), [&](int64_t first, int64_t last) {
        float left[kPiece], right[kPiece], result[kPiece];
        for (int64_t i = first; i < last; ++i) {
          int64_t row = i / pieces, start = i % pieces * kPiece, count = std::min(kPiece, inner - start);
          int64_t x_place = spread.offset(row, 0) + start * x_step,
                  y_place = spread.offset(row, 1) + start * y_step, place = row * inner + start;
          if (x_half && y_half && half) {
            kernel.binary_halves(op, count, static_cast<const uint16_t*>(x) + x_place, x_step,
                                 static_cast<const uint16_t*>(y) + y_place, y_step,
                                 static_cast<uint16_t*>(z) + place);
            continue;
          }
          float* to = target(z, place, half, result);
          kernel.binary(op, count, read(kernel, x, x_place, x_step ? count : 1, x_half, left), x_step,
                        read(kernel, y, y_place, y_step ? count : 1, y_half, right), y_step, to);
          write(kernel, to, z, place, count, half);
        }
      });
    });
  }

 private:
  Binary op_;
};

/** A copy in row-contiguous order, or the same memory where the input is so already. */
class Contiguous : public CpuPrimitive {
 public:
  explicit Contiguous(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "TintypeContiguous"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    const array& in = inputs[0];
    if (in.flags().row_contiguous) return out.copy_shared_buffer(in);
    auto* y = static_cast<char*>(allocate(out));
    if (out.size() == 0) return;
    dispatch(stream(), [y, x = in.data<char>(), shape = in.shape(), strides = in.strides(),
                        size = in.itemsize(), all = static_cast<int64_t>(in.size())] {
      int rank = static_cast<int>(shape.size());
      int64_t rows = rank > 1 ? shape[rank - 2] : 1, columns = shape[rank - 1], plane = rows * columns;
      int64_t row = rank > 1 ? strides[rank - 2] : 0, column = strides[rank - 1];
      auto lines = std::clamp<int64_t>(kGrain / std::max<int64_t>(1, columns), 1, rows);
      if (column != 1 && lines < rows) lines = std::min(rows, std::max<int64_t>(lines, 32));
      int64_t parts = (rows + lines - 1) / lines, planes = all / plane;
      int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, lines * columns));
      parallel(planes * parts, grain, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
          int64_t index = i / parts, start = i % parts * lines, offset = start * row;
          for (int axis = rank - 3; axis >= 0; --axis) {
            offset += index % shape[axis] * strides[axis];
            index /= shape[axis];
          }
          Plane piece{x + offset * static_cast<int64_t>(size),
                      y + (i / parts * plane + start * columns) * static_cast<int64_t>(size),
                      std::min(lines, rows - start),
                      columns,
                      row,
                      column};
          size == 1   ? copy<uint8_t>(piece)
          : size == 2 ? copy<uint16_t>(piece)
          : size == 4 ? copy<uint32_t>(piece)
          : size == 8 ? copy<uint64_t>(piece)
                      : copy_bytes(piece, size);
        }
      });
    });
  }

 private:
  struct Plane {
    const char* from;
    char* to;
    int64_t rows, columns, row, column;
  };

  template <typename T>
  static void copy(const Plane& p) {
    auto* from = reinterpret_cast<const T*>(p.from);
    auto* to = reinterpret_cast<T*>(p.to);
    if (p.column == 1) {
      for (int64_t i = 0; i < p.rows; ++i) std::copy_n(from + i * p.row, p.columns, to + i * p.columns);
      return;
    }
    constexpr int64_t kTile = 32;  // both sides of a turn stay in the cache
    for (int64_t j = 0; j < p.columns; j += kTile) {
      int64_t end = std::min(p.columns, j + kTile);
      for (int64_t i = 0; i < p.rows; ++i) {
        for (int64_t k = j; k < end; ++k) to[i * p.columns + k] = from[i * p.row + k * p.column];
      }
    }
  }

  static void copy_bytes(const Plane& p, size_t size) {
    auto width = static_cast<int64_t>(size);
    for (int64_t i = 0; i < p.rows; ++i) {
      for (int64_t k = 0; k < p.columns; ++k)
        std::copy_n(p.from + (i * p.row + k * p.column) * width, width, p.to + (i * p.columns + k) * width);
    }
  }
};

}  // namespace

namespace {

// What makes an array that is not computed yet, if steps can follow it.
std::optional<Recipe> recipe_of(const array& x) {
  if (!x.has_primitive() || x.status() != array::Status::unscheduled) return std::nullopt;
  if (auto* map = dynamic_cast<const Map*>(&x.primitive())) {
    Recipe recipe = Recipe::from(x.inputs()[0]);
    recipe.steps.push_back(map->step(x));
    return recipe;
  }
  if (auto* zip = dynamic_cast<const Zip*>(&x.primitive())) {
    const array &left = x.inputs()[0], &right = x.inputs()[1];
    bool swapped = left.shape() != x.shape();
    if (swapped && right.shape() != x.shape()) return std::nullopt;
    Recipe recipe = Recipe::from(swapped ? right : left);
    recipe.steps.push_back(zip->step(x, swapped));
    recipe.operands.push_back(swapped ? left : right);
    return recipe;
  }
  return recipe_of_tailed(x);
}

bool has_room(const std::optional<Recipe>& recipe) {
  return recipe && recipe->steps.size() < kLongestTail;
}

// Two cheap functions in a row gain nothing while memory is a cache: measured slower than one by one.
bool is_worth_meeting(const std::optional<Recipe>& recipe) {
  return has_room(recipe) && (recipe->maker->computes() || !recipe->steps.back().is_binary);
}

// `y` meets the absorbed value; the absorbed one is the right operand if `swapped`.
array met(Recipe recipe, Binary op, const array& y, bool swapped, const mx::Shape& shape, mx::Dtype dtype) {
  recipe.steps.push_back({.is_binary = true, .binary = op, .swapped = swapped, .half = dtype == mx::float16});
  recipe.operands.push_back(dense(y));
  return recipe.made(shape, dtype);
}

}  // namespace

array unary(Unary op, const array& x, mx::Dtype dtype, float a, float b, Absorb absorb) {
  if (absorb.x) {
    if (auto recipe = recipe_of(x); has_room(recipe)) {
      recipe->steps.push_back({.unary = op, .a = a, .b = b, .half = dtype == mx::float16});
      return recipe->made(x.shape(), dtype);
    }
  }
  return array(x.shape(), dtype, std::make_shared<Map>(cpu_stream(), op, a, b), {dense(x)});
}

array binary(Binary op, const array& x, const array& y, mx::Dtype dtype, Absorb absorb) {
  mx::Shape shape = mx::broadcast_shapes(x.shape(), y.shape());
  if (absorb.x && shape == x.shape()) {
    if (auto recipe = recipe_of(x); is_worth_meeting(recipe))
      return met(std::move(*recipe), op, y, false, shape, dtype);
  }
  if (absorb.y && shape == y.shape()) {
    if (auto recipe = recipe_of(y); is_worth_meeting(recipe))
      return met(std::move(*recipe), op, x, true, shape, dtype);
  }
  return array(std::move(shape), dtype, std::make_shared<Zip>(cpu_stream(), op), {dense(x), dense(y)});
}

array dense(const array& x) {
  if (mx::default_device() != mx::Device::cpu) return mx::contiguous(x);
  if (x.is_available() && x.flags().row_contiguous) return x;
  if (x.ndim() == 0) return mx::contiguous(x);
  return array(x.shape(), x.dtype(), std::make_shared<Contiguous>(cpu_stream()), {x});
}

array cast(const array& x, mx::Dtype dtype, Absorb absorb) {
  if (x.dtype() == dtype) return x;
  if (is_ours(x) && is_ours(dtype)) return unary(Unary::kCopy, x, dtype, 0, 0, absorb);
  for (Element op : {Element::kFloatToInt, Element::kIntToFloat, Element::kFloatToBool, Element::kIntToBool,
                     Element::kBoolToFloat, Element::kBoolToInt}) {
    if (auto y = element(op, {x}, dtype)) return *y;
  }
  return mx::astype(x, dtype);
}

array sigmoid(const array& x) {
  return is_ours(x) ? unary(Unary::kSigmoid, x, x.dtype()) : mx::sigmoid(x);
}

array exp(const array& x) {
  return is_ours(x) ? unary(Unary::kExp, x, x.dtype()) : mx::exp(x);
}

}  // namespace tintype::kernels
