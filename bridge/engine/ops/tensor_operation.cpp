#include <algorithm>
#include <cmath>
#include <new>

#include "kernels/gather.h"
#include "kernels/marks.h"
#include "kernels/order.h"
#include "kernels/places.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "ops/shapes.h"
#include "ops/suppression.h"
#include "run/compute.h"

namespace tintype {

namespace {

// Places of the first `count` elements along an axis in their order; ties stay as they lie.
array order_of(const array& x, int axis, int count, bool ascending) {
  bool whole = mx::issubdtype(x.dtype(), mx::integer) || x.dtype() == mx::bool_;
  bool narrow = whole && (x.dtype().size() < 4 || x.dtype() == mx::int32);
  array key = mx::astype(x, !whole ? mx::float32 : narrow ? mx::int32 : mx::int64);
  if (kernels::can_order(key) && x.size() > 0)
    return mx::swapaxes(kernels::order_last(mx::swapaxes(key, axis, -1), count, ascending), axis, -1);
  array order = mx::argsort(ascending ? key : mx::negative(key), axis);
  mx::Shape stop = order.shape();
  stop[axis] = count;
  return mx::slice(order, mx::Shape(order.ndim(), 0), stop);
}

array argsort(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", -1, x.ndim());
  return order_of(x, axis, x.shape(axis), call.flag_or("ascending", false));
}

// Keeps `lower` diagonals below the main one and `upper` above; -1 keeps them all.
array band_part(Call& call) {
  const array& x = call.tensor("x");
  int lower = call.integer_or("lower", -1), upper = call.integer_or("upper", -1);
  if (x.ndim() < 2) call.fail("x is no matrix", "rank " + std::to_string(x.ndim()), "at least 2");
  if (kernels::can_mark(x.dtype())) return kernels::band_part(x, lower, upper);
  array row = mx::expand_dims(mx::arange(x.shape(-2)), 1), column = mx::arange(x.shape(-1));
  array distance = mx::subtract(row, column), keep = array(true);
  if (lower >= 0) keep = mx::less_equal(distance, array(lower));
  if (upper >= 0) keep = mx::logical_and(keep, mx::greater_equal(distance, array(-upper)));
  return mx::where(keep, x, array(0, x.dtype()));
}

array concat(Call& call) {
  std::vector<array> values = call.tensors("values");
  int axis = call.axis_or("axis", 0, values[0].ndim());
  bool interleaved = call.flag_or("interleave", false);
  int64_t length = 0;
  for (const array& value : values) {
    if (value.ndim() != values[0].ndim())
      call.fail("the values have other ranks", describe_shape(value.shape()),
                describe_shape(values[0].shape()));
    length += value.shape(axis);
    for (int i = 0; i < static_cast<int>(value.ndim()); ++i) {
      if ((i == axis && !interleaved) || value.shape(i) == values[0].shape(i)) continue;
      call.fail("the values have other shapes", describe_shape(value.shape()),
                describe_shape(values[0].shape()) + (interleaved ? "" : " but for the axis"));
    }
  }
  call.checked_length(length);  // MLX adds them up as int32
  if (!interleaved) return mx::concatenate(values, axis);
  // Interleaved: element i of every value, then element i + 1.
  array stacked = mx::stack(values, axis + 1);
  mx::Shape shape = values[0].shape();
  shape[axis] = call.checked_length(static_cast<int64_t>(shape[axis]) * static_cast<int64_t>(values.size()));
  return mx::reshape(stacked, shape);
}

array cumsum(Call& call) {
  array x = widened_for_sum(call.wide("x"));
  int axis = call.axis_or("axis", 0, x.ndim());
  return mx::cumsum(x, axis, call.flag_or("reverse", false), !call.flag_or("exclusive", false));
}

array fill_value(Call& call) {
  check_count(call, "value", 1, "element");
  array value = call.has("value") ? call.tensor("value") : array(0.0f);
  return mx::astype(mx::reshape(value, mx::Shape{}), call.output_dtype());
}

array fill(Call& call) {
  std::vector<int> shape = call.integers("shape");
  for (int size : shape) {
    if (size < 0) call.fail("the shape is negative", std::to_string(size), "0 or more");
  }
  return mx::full(to_shape(shape), fill_value(call));
}

array fill_like(Call& call) {
  return mx::full(call.tensor("ref_tensor").shape(), fill_value(call));
}

array identity(Call& call) {
  return call.tensor("x");
}

// Places [count, rank] of what is not 0, in order.
array non_zero(Call& call) {
  const array& given = call.tensor("x");
  array x = kernels::dense(kernels::cast(given, mx::bool_));
  compute({x});
  kernels::SetFlags found(x.data<bool>(), static_cast<int64_t>(x.size()));
  call.poll();  // before anything is made of flags that a cancelled call has not counted
  size_t rank = x.ndim(), count = static_cast<size_t>(found.count());
  uint64_t bytes = count * rank * sizeof(int32_t);
  call.require_memory(bytes);
  auto places = mx::allocator::malloc(std::max<uint64_t>(bytes, 1));
  auto* target = static_cast<int32_t*>(places.buffer().raw_ptr());
  if (!target) throw std::bad_alloc();
  found.write_places(x.shape(), target);
  mx::Shape shape{call.checked_length(rank ? static_cast<int64_t>(count) : 0), static_cast<int>(rank)};
  return array(std::move(places), std::move(shape), mx::int32);
}

array one_hot(Call& call) {
  array indices = kernels::cast(call.tensor("indices"), mx::int32);
  int size = call.integer("one_hot_vector_size");
  if (size < 0) call.fail("one_hot_vector_size is negative", std::to_string(size), "0 or more");
  int rank = static_cast<int>(indices.ndim()) + 1;
  int axis = call.axis_or("axis", -1, static_cast<size_t>(rank));
  mx::Dtype dtype = call.output_dtype();
  array on = call.has("on_value") ? mx::astype(call.tensor("on_value"), dtype) : array(1, dtype);
  array off = call.has("off_value") ? mx::astype(call.tensor("off_value"), dtype) : array(0, dtype);
  if (kernels::can_mark(dtype) && on.size() == 1 && off.size() == 1)
    return kernels::one_hot(indices, size, axis, on, off);
  array hot = mx::equal(mx::expand_dims(indices, -1), mx::arange(size));
  return mx::where(mx::moveaxis(hot, -1, axis), on, off);
}

/** Indices along one axis that lay out what padding adds before and after: reflect or replicate. */
array padded_index(int size, int before, int after, bool reflect) {
  array place = mx::arange(-before, size + after);
  if (!reflect) return mx::clip(place, array(0), array(size - 1));
  place = mx::abs(place);
  return mx::subtract(array(size - 1), mx::abs(mx::subtract(array(size - 1), place)));
}

array pad(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> amounts = call.integers("pad");
  std::string mode = call.text_or("mode", "constant");
  size_t axes = amounts.size() / 2;
  if (amounts.size() % 2 != 0 || axes > x.ndim()) {
    call.fail("pad has a wrong count of values", std::to_string(amounts.size()),
              "two for each of the last axes");
  }
  for (int amount : amounts) {
    if (amount < 0 || amount > 1 << 24)
      call.fail("an amount of pad is impossible", std::to_string(amount), "0 to 16777216");
  }
  size_t first = x.ndim() - axes;  // pad belongs to the last axes
  for (size_t i = 0; i < axes; ++i) {
    call.checked_length(int64_t{x.shape(static_cast<int>(first + i))} + amounts[2 * i] + amounts[2 * i + 1]);
  }
  if (mode == "constant") {
    std::vector<std::pair<int, int>> widths(x.ndim(), {0, 0});
    for (size_t i = 0; i < axes; ++i) widths[first + i] = {amounts[2 * i], amounts[2 * i + 1]};
    check_count(call, "constant_val", 1, "element");
    array value = call.has("constant_val") ? call.tensor("constant_val") : array(0.0f);
    return mx::pad(x, widths, mx::astype(mx::reshape(value, mx::Shape{}), x.dtype()));
  }
  if (mode != "reflect" && mode != "replicate")
    call.fail("unknown mode", mode, "constant, reflect or replicate");
  array y = x;
  for (size_t i = 0; i < axes; ++i) {
    int axis = static_cast<int>(first + i), before = amounts[2 * i], after = amounts[2 * i + 1];
    if (before == 0 && after == 0) continue;
    bool reflect = mode == "reflect";
    if (y.shape(axis) == 0 || (reflect && std::max(before, after) >= y.shape(axis))) {
      call.fail("reflection needs more elements than it adds", std::to_string(std::max(before, after)),
                "less than " + std::to_string(y.shape(axis)));
    }
    y = kernels::take(y, padded_index(y.shape(axis), before, after, reflect), axis);
  }
  return y;
}

array range_1d(Call& call) {
  constexpr double kMostNumbers = 1e9;
  double start = call.number("start"), end = call.number("end"), step = call.number("step");
  for (double number : {start, end, step}) {
    if (!std::isfinite(number))
      call.fail("start, end or step is no finite number", std::to_string(number), "a finite number");
  }
  if (step == 0) call.fail("the range never ends", "step " + std::to_string(step), "another step");
  if ((end - start) / step > kMostNumbers)
    call.fail("the range is too long", std::to_string((end - start) / step) + " numbers",
              "at most 1000000000");
  return mx::arange(start, end, step, call.output_dtype());
}

array shape(Call& call) {
  const mx::Shape& shape = call.tensor("x").shape();
  return array(shape.begin(), {static_cast<int>(shape.size())}, mx::int32);
}

std::vector<array> split(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", 0, x.ndim()), length = x.shape(axis);
  std::vector<int> sizes;
  if (call.has("split_sizes")) {
    sizes = call.integers("split_sizes");
  } else {
    int count = call.integer("num_splits");
    auto outputs = static_cast<int>(call.operation().outputs.size());
    if (count != outputs)
      call.fail("num_splits is not the count of outputs", std::to_string(count), std::to_string(outputs));
    if (count < 1 || length % count != 0)
      call.fail("the axis does not split evenly", std::to_string(count),
                "a divisor of " + std::to_string(length));
    sizes.assign(static_cast<size_t>(count), length / count);
  }
  int64_t total = 0;
  for (int size : sizes) {
    if (size < 0) call.fail("a size of split_sizes is negative", std::to_string(size), "0 or more");
    total += size;
  }
  if (total != length) call.fail("split_sizes do not add up", std::to_string(total), std::to_string(length));
  std::vector<array> parts;
  mx::Shape start(x.ndim(), 0), stop = x.shape();
  for (int size : sizes) {
    stop[axis] = start[axis] + size;
    parts.push_back(mx::slice(x, start, stop));
    start[axis] = stop[axis];
  }
  return parts;
}

array stack(Call& call) {
  std::vector<array> values = call.tensors("values");
  for (const array& value : values) {
    if (value.shape() != values[0].shape())
      call.fail("the values have other shapes", describe_shape(value.shape()),
                describe_shape(values[0].shape()));
  }
  return mx::stack(values, call.axis_or("axis", 0, values[0].ndim() + 1));
}

array tile(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> reps = call.integers("reps");
  if (reps.size() != x.ndim()) {
    call.fail("reps has a wrong count of values", std::to_string(reps.size()), std::to_string(x.ndim()));
  }
  for (size_t i = 0; i < reps.size(); ++i) {
    int64_t most = kLongestDimension / std::max(x.shape(static_cast<int>(i)), 1);
    if (reps[i] < 0 || reps[i] > most)
      call.fail("a count of reps is impossible", std::to_string(reps[i]), "0 to " + std::to_string(most));
  }
  if (!computes_on_cpu() || x.ndim() == 0) return mx::tile(x, reps);
  // Repeated in place, on an axis of its own before each, and copied once.
  mx::Shape apart, repeated, shape;
  for (size_t i = 0; i < reps.size(); ++i) {
    int size = x.shape(static_cast<int>(i));
    if (reps[i] != 1) apart.push_back(1), repeated.push_back(reps[i]);
    apart.push_back(size), repeated.push_back(size), shape.push_back(size * reps[i]);
  }
  return mx::reshape(kernels::dense(mx::broadcast_to(mx::reshape(x, apart), repeated)), shape);
}

// Ties go to the lower index, as in numpy's stable sort.
std::vector<array> topk(Call& call) {
  const array& x = call.tensor("x");
  int k = call.integer_or("k", 1), axis = call.axis_or("axis", -1, x.ndim());
  bool ascending = call.flag_or("ascending", false);
  if (k == -1) k = x.shape(axis);
  if (k < 0 || k > x.shape(axis))
    call.fail("k is beyond the axis", std::to_string(k), "at most " + std::to_string(x.shape(axis)));
  array indices = order_of(x, axis, k, ascending);
  // MLX reads wherever indices point, and those of a cancelled call are any numbers.
  array values = kernels::can_gather(x) && x.size() > 0 ? kernels::gather_along(x, indices, axis)
                                                        : mx::take_along_axis(x, indices, axis);
  if (!call.flag_or("return_indices", true)) return {values};
  return {values, mx::astype(indices, mx::int32)};
}

}  // namespace

OpTable tensor_operation_ops() {
  return {
      {"argsort", argsort, "x axis? ascending?"},
      {"band_part", band_part, "x lower? upper?"},
      {"concat", concat, "values* axis interleave?"},
      {"cumsum", cumsum, "x axis? exclusive? reverse?"},
      {"fill", fill, "shape value?"},
      {"fill_like", fill_like, "ref_tensor value?"},
      {"identity", identity, "x"},
      {"non_maximum_suppression", non_maximum_suppression,
       "boxes scores iou_threshold score_threshold? max_boxes per_class_suppression?"},
      {"non_zero", non_zero, "x"},
      {"one_hot", one_hot, "indices one_hot_vector_size axis? on_value? off_value?"},
      {"pad", pad, "x pad mode? constant_val?"},
      {"range_1d", range_1d, "end start step"},
      {"shape", shape, "x"},
      {"split", split, "x num_splits? split_sizes? axis"},
      {"stack", stack, "values* axis"},
      {"tile", tile, "x reps"},
      {"topk", topk, "x k? axis? ascending? sort? return_indices? output_indices_dtype?"},
  };
}

}  // namespace tintype
