#include "ops/call.h"
#include "ops/registry.h"
#include "run/compute.h"

namespace tintype {

namespace {

/** `count` values of `bits` bits each, low bits first, out of packed bytes. */
array unpack_bits(Call& call, const array& packed, int bits, int64_t count) {
  if (static_cast<int64_t>(packed.size()) * 8 < bits * count) {
    call.fail("the packed data is too short", std::to_string(packed.size()) + " bytes",
              std::to_string((bits * count + 7) / 8));
  }
  call.checked_length(count);
  array source = mx::contiguous(mx::astype(packed, mx::uint8));
  compute({source});
  const uint8_t* bytes = source.data<uint8_t>();
  std::vector<uint8_t> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t bit = i * bits;
    unsigned window = bytes[bit / 8];
    if (bit % 8 + bits > 8) window |= static_cast<unsigned>(bytes[bit / 8 + 1]) << 8;
    values[static_cast<size_t>(i)] = static_cast<uint8_t>((window >> (bit % 8)) & ((1u << bits) - 1));
  }
  return array(values.begin(), {static_cast<int>(count)}, mx::uint8);
}

mx::Shape declared_shape(Call& call) {
  const TensorType& type = call.output_type();
  if (!type.is_static()) call.fail("its output's shape is not fixed", describe(type), "a fixed one");
  return mx::Shape(type.shape.begin(), type.shape.end());
}

// `parameter` repeated in blocks so that it has x's shape.
array blockwise(Call& call, const char* name, const array& x, mx::Dtype dtype) {
  array parameter = mx::astype(call.tensor(name), dtype);
  if (parameter.ndim() != x.ndim())
    call.fail(std::string(name) + " has another rank than data", describe_shape(parameter.shape()),
              describe_shape(x.shape()));
  for (int axis = 0; axis < static_cast<int>(x.ndim()); ++axis) {
    int blocks = parameter.shape(axis), length = x.shape(axis);
    if (blocks == length || blocks == 1) continue;
    if (blocks < 1 || length % blocks != 0)
      call.fail(std::string(name) + " does not divide data", describe_shape(parameter.shape()),
                describe_shape(x.shape()));
    parameter = mx::repeat(parameter, length / blocks, axis);
  }
  return parameter;
}

array shift_and_scale(Call& call, const array& data) {
  array x = mx::astype(data, mx::float32);
  if (call.has("offset")) x = mx::subtract(x, blockwise(call, "offset", x, mx::float32));
  return mx::multiply(x, blockwise(call, "scale", x, mx::float32));
}

array constexpr_blockwise_shift_scale(Call& call) {
  return shift_and_scale(call, call.tensor("data"));
}

array constexpr_affine_dequantize(Call& call) {
  array x = mx::astype(call.tensor("quantized_data"), mx::float32);
  int axis = call.axis_or("axis", 0, x.ndim());
  auto along = [&](const char* name) {
    array parameter = mx::astype(call.tensor(name), mx::float32);
    if (parameter.size() == 1) return mx::reshape(parameter, mx::Shape{});
    mx::Shape shape(x.ndim(), 1);
    shape[axis] = static_cast<int>(parameter.size());
    return mx::reshape(parameter, shape);
  };
  return mx::multiply(mx::subtract(x, along("zero_point")), along("scale"));
}

array constexpr_cast(Call& call) {
  return mx::astype(call.tensor("source_val"), call.output_dtype());
}

// iOS16: one table, indices packed into bytes, the shape a parameter.
array lut_packed(Call& call) {
  const array& lut = call.tensor("lut");
  mx::Shape shape = declared_shape(call);
  int bits = 0;
  while ((size_t{1} << bits) < lut.size()) ++bits;
  if (bits < 1 || bits > 8 || (size_t{1} << bits) != lut.size())
    call.fail("the table has a wrong size", std::to_string(lut.size()), "2, 4, 16, 64 or 256");
  array indices = unpack_bits(call, call.tensor("indices"), bits, call.output_type().elements());
  return mx::reshape(mx::take(mx::flatten(lut), mx::astype(indices, mx::uint32), 0), shape);
}

// iOS18: lut [*groups, palettes, vector] with one table a block of indices [*d].
array lut_blockwise(Call& call, const array& indices) {
  const array& lut = call.tensor("lut");
  int rank = static_cast<int>(indices.ndim());
  if (static_cast<int>(lut.ndim()) != rank + 2)
    call.fail("lut has a wrong rank", describe_shape(lut.shape()), "two more than indices");
  int palettes = lut.shape(-2), vector = lut.shape(-1);
  if (palettes < 1 || vector < 1)
    call.fail("lut is empty", describe_shape(lut.shape()), "at least one entry of one value");
  // The number of its table for every index, as a row of the flattened lut.
  array row = array(0);
  for (int axis = 0; axis < rank; ++axis) {
    int groups = lut.shape(axis), length = indices.shape(axis);
    if (groups < 1 || length % groups != 0)
      call.fail("lut does not divide indices", describe_shape(lut.shape()), describe_shape(indices.shape()));
    mx::Shape shape(indices.ndim(), 1);
    shape[axis] = length;
    array group = mx::reshape(mx::repeat(mx::arange(groups), length / groups, 0), shape);
    row = mx::add(mx::multiply(row, array(groups)), group);
  }
  array index = mx::clip(mx::astype(indices, mx::int32), array(0), array(palettes - 1));
  array place = mx::add(mx::multiply(row, array(palettes)), index);
  array values = mx::take(mx::reshape(lut, {-1, vector}), place, 0);  // [*d, vector]
  if (vector == 1) return mx::squeeze(values, -1);
  int axis = call.axis_or("vector_axis", rank - 1, indices.ndim());
  mx::Shape shape = indices.shape();
  shape[axis] = call.checked_length(int64_t{shape[axis]} * vector);
  return mx::reshape(mx::moveaxis(values, -1, axis + 1), shape);
}

array constexpr_lut_to_dense(Call& call) {
  return call.has("shape") ? lut_packed(call) : lut_blockwise(call, call.tensor("indices"));
}

// The values of `data` in their places where `mask` is 1, and 0 elsewhere.
array spread(const array& mask, const array& data) {
  array flat = mx::astype(mx::not_equal(mx::flatten(mask), array(0, mask.dtype())), mx::int32);
  array place = mx::subtract(mx::cumsum(flat, 0), array(1));
  if (data.size() == 0) return mx::zeros(mask.shape(), data.dtype());
  array values =
      mx::take(mx::flatten(data), mx::clip(place, array(0), array(static_cast<int>(data.size()) - 1)), 0);
  array dense = mx::where(mx::equal(flat, array(1)), values, array(0, data.dtype()));
  return mx::reshape(dense, mask.shape());
}

array constexpr_sparse_to_dense(Call& call) {
  const array& data = call.tensor("nonzero_data");
  if (!call.has("shape")) return spread(call.tensor("mask"), data);
  array mask = unpack_bits(call, call.tensor("mask"), 1, call.output_type().elements());
  return spread(mx::reshape(mask, declared_shape(call)), data);
}

// The next two yield a mask and the values where it is 1; constexpr_sparse_to_dense joins them.
std::vector<array> with_mask(Call& call, const array& mask, const array& dense) {
  call.checked_length(static_cast<int64_t>(mask.size()));  // places are int32
  array flags = mx::contiguous(mx::astype(mx::flatten(mask), mx::uint8));
  compute({flags});
  std::vector<int> kept;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags.data<uint8_t>()[i]) kept.push_back(static_cast<int>(i));
  }
  return {mask, mx::take(mx::flatten(dense), array(kept.begin(), {static_cast<int>(kept.size())}), 0)};
}

std::vector<array> constexpr_sparse_blockwise_shift_scale(Call& call) {
  const array& mask = call.tensor("data_mask");
  return with_mask(call, mask, shift_and_scale(call, spread(mask, call.tensor("nonzero_data"))));
}

std::vector<array> constexpr_lut_to_sparse(Call& call) {
  array mask = call.tensor("indices_mask");
  array dense = lut_blockwise(call, spread(mask, call.tensor("indices_nonzero_data")));
  for (int axis = 0; axis < static_cast<int>(mask.ndim()); ++axis) {  // a vector stands for several elements
    int times = mask.shape(axis) ? dense.shape(axis) / mask.shape(axis) : 1;
    if (times > 1) mask = mx::repeat(mask, times, axis);
  }
  return with_mask(call, mask, dense);
}

}  // namespace

OpTable constexpr_ops() {
  return {
      {"constexpr_affine_dequantize", constexpr_affine_dequantize, "quantized_data zero_point scale axis"},
      {"constexpr_blockwise_shift_scale", constexpr_blockwise_shift_scale, "data scale offset?"},
      {"constexpr_cast", constexpr_cast, "source_val output_dtype"},
      {"constexpr_lut_to_dense", constexpr_lut_to_dense, "indices lut shape? vector_axis?"},
      {"constexpr_lut_to_sparse", constexpr_lut_to_sparse,
       "indices_mask indices_nonzero_data lut vector_axis?"},
      {"constexpr_sparse_blockwise_shift_scale", constexpr_sparse_blockwise_shift_scale,
       "data_mask nonzero_data scale offset?"},
      {"constexpr_sparse_to_dense", constexpr_sparse_to_dense, "nonzero_data mask shape?"},
  };
}

}  // namespace tintype
