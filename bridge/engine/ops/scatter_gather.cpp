#include <map>
#include <optional>

#include "kernels/compressed.h"
#include "kernels/gather.h"
#include "kernels/places.h"
#include "kernels/primitives.h"
#include "kernels/scatter.h"
#include "ops/call.h"
#include "ops/integers.h"
#include "ops/registry.h"
#include "ops/shapes.h"
#include "run/compute.h"
#include "support/error.h"

namespace tintype {

namespace {

/**
 * Indices as int32. Those that lie outside the axis are refused where the program or the caller gives them as
 * they are, and where the op shall validate its indices. Others, which the program computes, take the axis'
 * ends: MIL leaves open what happens then, and to look at them would wait for their computation.
 */
array checked_indices(Call& call, const array& given, int size) {
  array indices = kernels::cast(given, mx::int32);
  if (size == 0 && given.size() != 0)
    call.fail("it reads from an empty axis", std::to_string(given.size()) + " indices", "none");
  bool checked = call.is_given("indices") || call.flag_or("validate_indices", false);
  if (checked && given.size() != 0) {
    array least = mx::min(indices), most = mx::max(indices);
    compute({least, most});
    int lowest = least.item<int>(), highest = most.item<int>();
    if (lowest < -size || highest >= size) {
      call.fail("an index lies outside its axis", std::to_string(lowest < -size ? lowest : highest),
                "-" + std::to_string(size) + " to " + std::to_string(size - 1));
    }
  }
  return indices;
}

// The same as MLX may use them: counted from 0 and inside the axis, because MLX reads wherever they point.
array safe_indices(Call& call, const array& given, int size) {
  array indices = checked_indices(call, given, size);
  indices = mx::where(mx::less(indices, array(0)), mx::add(indices, array(size)), indices);
  return mx::clip(indices, array(0), array(std::max(size - 1, 0)));
}

// Position of every row of the leading `count` axes, shaped to broadcast with a tensor of rank `rank`.
array row_index(const mx::Shape& shape, int axis, size_t rank) {
  mx::Shape broadcast(rank, 1);
  broadcast[axis] = shape[axis];
  return mx::reshape(mx::arange(shape[axis]), broadcast);
}

// MLX reads and writes wherever indices point: where rows are counted out, both sides must have as many.
void check_batch(Call& call, const mx::Shape& x, const mx::Shape& indices, int batch_dims) {
  for (int i = 0; i < batch_dims; ++i) {
    if (i < static_cast<int>(x.size()) && i < static_cast<int>(indices.size()) && x[i] == indices[i])
      continue;
    call.fail("indices have other batch axes than the data", describe_shape(indices), describe_shape(x));
  }
}

// x [B, A, n, R] and indices [B, I] with `batch_dims` axes B give [B, A, I, R].
array gather_in_batch(const array& x, const array& indices, int axis, int batch_dims) {
  int rank = static_cast<int>(indices.ndim()), outer = axis - batch_dims;
  std::vector<array> all;
  if (x.size() == 0 || indices.size() == 0) {  // nothing is read
    mx::Shape shape(x.shape().begin(), x.shape().begin() + axis);
    shape.insert(shape.end(), indices.shape().begin() + batch_dims, indices.shape().end());
    shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
    return mx::zeros(shape, x.dtype());
  }
  std::vector<int> axes, ones, order;
  mx::Shape slice = x.shape();
  auto index = [&](const array& places, int at) {
    all.push_back(places), axes.push_back(at), ones.push_back(rank + at);
    slice[at] = 1;
  };
  for (int i = 0; i < batch_dims; ++i) index(row_index(indices.shape(), i, indices.ndim()), i);
  index(indices, axis);
  array y = mx::squeeze(mx::gather(x, all, axes, slice), ones);  // [B, I, A, R]
  for (int i = 0; i < batch_dims; ++i) order.push_back(i);
  for (int i = 0; i < outer; ++i) order.push_back(rank + i);
  for (int i = batch_dims; i < rank; ++i) order.push_back(i);
  for (int i = rank + outer; i < static_cast<int>(y.ndim()); ++i) order.push_back(i);
  return mx::transpose(y, order);
}

array gather(Call& call) {
  const array &x = call.tensor("x"), &given = call.tensor("indices");
  int axis = call.axis_or("axis", 0, x.ndim()), batch_dims = call.integer_or("batch_dims", 0);
  // A table that is stored compressed gives its rows without being expanded.
  auto compressed = axis == 0 && batch_dims == 0 ? kernels::compressed_weight_of(x) : nullptr;
  if (compressed) return kernels::take_rows(compressed, safe_indices(call, given, x.shape(axis)));
  if (batch_dims < 0 || batch_dims > axis || batch_dims > static_cast<int>(given.ndim())) {
    call.fail("batch_dims do not fit", std::to_string(batch_dims), "0 to axis");
  }
  check_batch(call, x.shape(), given.shape(), batch_dims);
  if (kernels::can_gather(x))
    return kernels::gather(x, checked_indices(call, given, x.shape(axis)), axis, batch_dims);
  array indices = safe_indices(call, given, x.shape(axis));
  return batch_dims == 0 ? mx::take(x, indices, axis) : gather_in_batch(x, indices, axis, batch_dims);
}

array gather_along_axis(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", 0, x.ndim());
  const mx::Shape& indices = call.tensor("indices").shape();
  mx::Shape fit = x.shape();
  if (indices.size() != fit.size())
    call.fail("indices have another rank than x", describe_shape(indices), describe_shape(fit));
  fit[axis] = indices[axis];
  check_broadcast_to(call, "indices", indices, fit);
  const array& given = call.tensor("indices");
  if (kernels::can_gather(x))
    return kernels::gather_along(x, checked_indices(call, given, x.shape(axis)), axis);
  return mx::take_along_axis(x, safe_indices(call, given, x.shape(axis)), axis);
}

using Indices = array (*)(Call& call, const array& given, int size);

/** indices [..., K] taken apart: one index array an axis. */
std::vector<array> split_coordinates(Call& call, const array& given, const mx::Shape& shape, int first_axis,
                                     Indices indices_of) {
  if (given.ndim() == 0) call.fail("indices have no axis", "[]", "[..., coordinates]");
  int count = given.shape(-1);
  if (count < 1 || first_axis + count > static_cast<int>(shape.size())) {
    call.fail("indices have too many coordinates", std::to_string(count),
              "at most " + std::to_string(shape.size()));
  }
  std::vector<array> coordinates;
  for (int k = 0; k < count; ++k) {
    mx::Shape start(given.ndim(), 0), stop = given.shape();
    start[start.size() - 1] = k, stop[stop.size() - 1] = k + 1;
    array one = mx::slice(given, start, stop);
    coordinates.push_back(indices_of(call, mx::squeeze(one, -1), shape[first_axis + k]));
  }
  return coordinates;
}

array gather_nd(Call& call) {
  const array &x = call.tensor("x"), &given = call.tensor("indices");
  int batch_dims = call.integer_or("batch_dims", 0);
  if (batch_dims < 0 || batch_dims >= static_cast<int>(given.ndim()))
    call.fail("batch_dims do not fit", std::to_string(batch_dims),
              "0 to " + std::to_string(static_cast<int>(given.ndim()) - 1));
  check_batch(call, x.shape(), given.shape(), batch_dims);
  bool ours = kernels::can_gather(x);
  std::vector<array> coordinates =
      split_coordinates(call, given, x.shape(), batch_dims, ours ? checked_indices : safe_indices);
  if (ours) return kernels::gather_nd(x, kernels::cast(given, mx::int32), batch_dims);
  std::vector<int> axes;
  std::vector<array> all;
  mx::Shape slice = x.shape();
  for (int i = 0; i < batch_dims; ++i) all.push_back(row_index(given.shape(), i, given.ndim() - 1));
  for (array& coordinate : coordinates) all.push_back(coordinate);
  for (size_t i = 0; i < all.size(); ++i) {
    axes.push_back(static_cast<int>(i));
    slice[i] = 1;
  }
  array y = mx::gather(x, all, axes, slice);  // indices' shape, then the slice's with its ones
  std::vector<int> ones;
  for (size_t i = 0; i < all.size(); ++i) ones.push_back(static_cast<int>(given.ndim() - 1 + i));
  return mx::squeeze(y, ones);
}

// The updates in `data` where indices point; `updates` has a slice of ones on the indexed axes.
array scatter_by_mode(Call& call, const std::string& fallback, const array& data,
                      const std::vector<array>& indices, const array& updates, const std::vector<int>& axes) {
  std::string mode = call.text_or("mode", fallback);
  // MLX divides by the size of a slice.
  if (data.size() == 0 || updates.size() == 0) return data;
  array values = mx::astype(updates, data.dtype());
  if (mode == "update") return mx::scatter(data, indices, values, axes);
  if (mode == "add") return mx::scatter_add(data, indices, values, axes);
  if (mode == "sub") return mx::scatter_add(data, indices, mx::negative(values), axes);
  if (mode == "mul") return mx::scatter_prod(data, indices, values, axes);
  if (mode == "div" && are_integers(data)) {
    array divisors = mx::scatter_prod(mx::ones_like(data), indices, values, axes);
    return divide_truncating(data, divisors);
  }
  if (mode == "div") return mx::scatter_prod(data, indices, mx::reciprocal(values), axes);
  if (mode == "max") return mx::scatter_max(data, indices, values, axes);
  if (mode == "min") return mx::scatter_min(data, indices, values, axes);
  call.fail("unknown mode", mode, "update, add, sub, mul, div, max or min");
}

// Nothing where the engine's kernel does not take the data.
std::optional<kernels::Scatter> kernel_mode(Call& call, const array& data, const array& updates) {
  using kernels::Scatter;
  static const std::map<std::string, Scatter> modes = {
      {"update", Scatter::kUpdate}, {"add", Scatter::kAdd}, {"sub", Scatter::kSub}, {"mul", Scatter::kMul},
      {"div", Scatter::kDiv},       {"max", Scatter::kMax}, {"min", Scatter::kMin}};
  auto found = modes.find(call.text_or("mode", "add"));
  if (found == modes.end() || !kernels::can_scatter(data) || updates.size() == 0) return std::nullopt;
  return found->second;
}

void check_updates(Call& call, const array& updates, const mx::Shape& expected) {
  if (updates.shape() == expected) return;
  call.fail("updates do not fit", describe_shape(updates.shape()), describe_shape(expected));
}

array scatter(Call& call) {
  const array &data = call.tensor("data"), &updates = call.tensor("updates");
  int axis = call.axis_or("axis", 0, data.ndim());
  const array& indices = call.tensor("indices");
  // updates: data's shape with `axis` replaced by the indices' shape; MLX wants the indices' axes first.
  int rank = static_cast<int>(indices.ndim());
  mx::Shape expected(data.shape().begin(), data.shape().begin() + axis);
  expected.insert(expected.end(), indices.shape().begin(), indices.shape().end());
  expected.insert(expected.end(), data.shape().begin() + axis + 1, data.shape().end());
  check_updates(call, updates, expected);
  if (auto mode = kernel_mode(call, data, updates))
    return kernels::scatter(*mode, data, checked_indices(call, indices, data.shape(axis)),
                            kernels::cast(updates, data.dtype()), axis);
  std::vector<int> order;
  for (int i = 0; i < rank; ++i) order.push_back(axis + i);
  for (int i = 0; i < static_cast<int>(updates.ndim()); ++i) {
    if (i < axis || i >= axis + rank) order.push_back(i);
  }
  array moved = mx::expand_dims(mx::transpose(updates, order), rank + axis);
  return scatter_by_mode(call, "add", data, {safe_indices(call, indices, data.shape(axis))}, moved, {axis});
}

array scatter_along_axis(Call& call) {
  const array &data = call.tensor("data"), &updates = call.tensor("updates");
  int axis = call.axis_or("axis", 0, data.ndim());
  const array& given = call.tensor("indices");
  bool fits = given.ndim() == data.ndim() && given.shape() == updates.shape();
  for (int i = 0; fits && i < static_cast<int>(data.ndim()); ++i)
    fits = i == axis || given.shape(i) <= data.shape(i);
  if (!fits) {
    call.fail("indices and updates do not fit data",
              describe_shape(given.shape()) + " and " + describe_shape(updates.shape()),
              "two alike, within " + describe_shape(data.shape()) + " but for the axis");
  }
  if (auto mode = kernel_mode(call, data, updates))
    return kernels::scatter_along(*mode, data, checked_indices(call, given, data.shape(axis)),
                                  kernels::cast(updates, data.dtype()), axis);
  array indices = safe_indices(call, given, data.shape(axis));
  mx::Shape whole = data.shape();
  whole[axis] = indices.shape(axis);
  std::string mode = call.text_or("mode", "add");
  if (indices.shape() == whole && indices.size() != 0 &&
      (mode == "update" || mode == "add" || mode == "sub")) {
    array values = mx::astype(updates, data.dtype());
    if (mode == "update") return mx::put_along_axis(data, indices, values, axis);
    return mx::scatter_add_axis(data, indices, mode == "sub" ? mx::negative(values) : values, axis);
  }
  std::vector<array> all;
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(data.ndim()); ++i) {
    all.push_back(i == axis ? indices
                            : mx::broadcast_to(row_index(indices.shape(), i, data.ndim()), indices.shape()));
    axes.push_back(i);
  }
  mx::Shape shape = indices.shape();
  for (size_t i = 0; i < data.ndim(); ++i) shape.push_back(1);
  return scatter_by_mode(call, "add", data, all, mx::reshape(updates, shape), axes);
}

array scatter_nd(Call& call) {
  const array &data = call.tensor("data"), &updates = call.tensor("updates"), &given = call.tensor("indices");
  bool ours = kernels::can_scatter(data);
  std::vector<array> coordinates =
      split_coordinates(call, given, data.shape(), 0, ours ? checked_indices : safe_indices);
  std::vector<int> axes;
  mx::Shape shape(given.shape().begin(), given.shape().end() - 1), expected = shape;
  expected.insert(expected.end(), data.shape().begin() + static_cast<ptrdiff_t>(coordinates.size()),
                  data.shape().end());
  check_updates(call, updates, expected);
  if (auto mode = kernel_mode(call, data, updates))
    return kernels::scatter_nd(*mode, data, kernels::cast(given, mx::int32),
                               kernels::cast(updates, data.dtype()));
  for (size_t i = 0; i < data.ndim(); ++i) {
    bool indexed = i < coordinates.size();
    if (indexed) axes.push_back(static_cast<int>(i));
    shape.push_back(indexed ? 1 : data.shape(static_cast<int>(i)));
  }
  return scatter_by_mode(call, "add", data, coordinates, mx::reshape(updates, shape), axes);
}

}  // namespace

OpTable scatter_gather_ops() {
  return {
      {"gather", gather, "x indices axis? batch_dims? validate_indices?"},
      {"gather_along_axis", gather_along_axis, "x indices axis? validate_indices?"},
      {"gather_nd", gather_nd, "x indices batch_dims? validate_indices?"},
      {"scatter", scatter, "data indices updates axis? mode? validate_indices?"},
      {"scatter_along_axis", scatter_along_axis, "data indices updates axis? mode? validate_indices?"},
      {"scatter_nd", scatter_nd, "data indices updates mode? validate_indices?"},
  };
}

}  // namespace tintype
