#include "run/compressed.h"

#include "mlx/mlx.h"
#include "ops/call.h"

namespace tintype {

namespace {

constexpr int64_t kSmall = 4096;  // elements; less is not worth a kernel a call

using kernels::CompressedWeight;

const array* parameter(const Operation& operation, std::string_view name,
                       const std::vector<Value>& constants) {
  for (const Argument& argument : operation.arguments) {
    if (argument.name != name || argument.bindings.size() != 1) continue;
    const Value& value = constants[static_cast<size_t>(argument.bindings[0].slot)];
    return value.tensor ? &*value.tensor : nullptr;
  }
  return nullptr;
}

// Constants are dense and available; the kernel reads them where they lie.
bool readable(const array& x, bool integers) {
  bool known = x.dtype() == mx::float32 || x.dtype() == mx::float16 ||
               (integers && (x.dtype() == mx::int8 || x.dtype() == mx::uint8));
  return known && x.size() > 0 && x.is_available() && x.flags().row_contiguous;
}

std::vector<int> counts_of(const array& x, size_t axes) {
  return std::vector<int>(x.shape().begin(), x.shape().begin() + static_cast<ptrdiff_t>(axes));
}

bool shift_and_scale(const array* scale, const array* offset, CompressedWeight& weight) {
  if (!scale || !readable(*scale, false)) return false;
  if (offset && (!readable(*offset, true) || offset->size() != scale->size())) return false;
  weight.scale = *scale;
  if (offset) weight.offset = *offset;
  return true;
}

bool blockwise(const Operation& operation, const std::vector<Value>& constants, CompressedWeight& weight) {
  const array *scale = parameter(operation, "scale", constants),
              *offset = parameter(operation, "offset", constants);
  if (!shift_and_scale(scale, offset, weight) || (offset && offset->shape() != scale->shape())) return false;
  for (const Argument& argument : operation.arguments) {
    if (argument.name == "offset" && !offset) return false;
  }
  return scale->ndim() == weight.shape.size() && weight.divide(counts_of(*scale, scale->ndim()));
}

bool affine(const Operation& operation, const std::vector<Value>& constants, CompressedWeight& weight) {
  const array *scale = parameter(operation, "scale", constants),
              *offset = parameter(operation, "zero_point", constants),
              *axis = parameter(operation, "axis", constants);
  if (!offset || !shift_and_scale(scale, offset, weight)) return false;
  std::vector<int> counts(weight.shape.size(), 1);
  if (scale->size() > 1) {
    if (!axis || axis->dtype() != mx::int32 || axis->size() != 1 || !axis->is_available()) return false;
    int place = axis->data<int>()[0], rank = static_cast<int>(counts.size());
    if (place < 0) place += rank;
    if (place < 0 || place >= rank || weight.shape[place] != static_cast<int>(scale->size())) return false;
    counts[static_cast<size_t>(place)] = static_cast<int>(scale->size());
  }
  return weight.divide(counts);
}

bool palette(const Operation& operation, const std::vector<Value>& constants, bool packed,
             CompressedWeight& weight) {
  const array* table = parameter(operation, "lut", constants);
  if (!table || !readable(*table, false)) return false;
  weight.table = *table;
  std::vector<int> counts(weight.shape.size(), 1);
  if (packed) {  // iOS16: one table, whose length says how many bits a code has
    weight.bits = 0;
    while ((size_t{1} << weight.bits) < table->size() && weight.bits < 8) ++weight.bits;
    if (weight.bits < 1 || (size_t{1} << weight.bits) != table->size()) return false;
    weight.entries = static_cast<int>(table->size());
  } else {
    if (table->ndim() != counts.size() + 2 || table->shape(-1) != 1) return false;  // vectors: expanded once
    weight.entries = table->shape(-2);
    counts = counts_of(*table, counts.size());
  }
  return weight.entries <= 256 && weight.divide(counts);
}

bool reads(const Operation& operation, const std::vector<Value>& constants, bool packed,
           CompressedWeight& weight) {
  if (operation.type == "constexpr_blockwise_shift_scale") return blockwise(operation, constants, weight);
  if (operation.type == "constexpr_affine_dequantize") return affine(operation, constants, weight);
  return palette(operation, constants, packed, weight);
}

}  // namespace

bool holds_codes(const Operation& operation, std::string_view argument) {
  if (operation.type == "constexpr_blockwise_shift_scale") return argument == "data";
  if (operation.type == "constexpr_affine_dequantize") return argument == "quantized_data";
  return operation.type == "constexpr_lut_to_dense" && argument == "indices";
}

std::shared_ptr<CompressedWeight> compressed_weight(const Operation& operation, const TensorType& stored,
                                                    const Blob& blob, std::shared_ptr<const void> owner,
                                                    const std::vector<Value>& constants) {
  if (!computes_on_cpu() || operation.outputs.size() != 1) return nullptr;
  const TensorType& type = operation.outputs[0].type.tensor;
  if (!type.is_static() || type.elements() < kSmall) return nullptr;
  if (type.dtype != DType::kFloat16 && type.dtype != DType::kFloat32) return nullptr;
  bool packed = operation.type == "constexpr_lut_to_dense" && stored.shape != type.shape;
  if (!packed && stored.shape != type.shape) return nullptr;
  mx::Dtype codes = mlx_dtype(stored.dtype);
  if (codes != mx::uint8 && codes != mx::int8) return nullptr;
  auto weight = std::make_shared<CompressedWeight>();
  weight->shape = mx::Shape(type.shape.begin(), type.shape.end());
  weight->dtype = mlx_dtype(type.dtype);
  weight->codes = blob.bytes.data();
  weight->bits = bits_of(stored.dtype);
  weight->is_signed = codes == mx::int8;
  weight->owner = std::move(owner);
  if (!reads(operation, constants, packed, *weight)) return nullptr;
  bool whole = static_cast<int64_t>(blob.bytes.size()) >= (type.elements() * weight->bits + 7) / 8;
  return whole && !(weight->table && weight->is_signed) ? weight : nullptr;
}

}  // namespace tintype
