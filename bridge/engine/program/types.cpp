#include "program/types.h"

#include <algorithm>
#include <array>

namespace tintype {

namespace {

struct DTypeRow {
  DType dtype;
  int bits;
  const char* name;
  tt_dtype abi;
};

constexpr std::array<DTypeRow, 20> kRows{{
    {DType::kBool, 8, "bool", TT_BOOL},
    {DType::kString, 0, "string", 0},
    {DType::kFloat16, 16, "float16", TT_FLOAT16},
    {DType::kFloat32, 32, "float32", TT_FLOAT32},
    {DType::kFloat64, 64, "float64", TT_FLOAT64},
    {DType::kBFloat16, 16, "bfloat16", 0},
    {DType::kInt8, 8, "int8", TT_INT8},
    {DType::kInt16, 16, "int16", TT_INT16},
    {DType::kInt32, 32, "int32", TT_INT32},
    {DType::kInt64, 64, "int64", TT_INT64},
    {DType::kInt4, 4, "int4", 0},
    {DType::kUInt8, 8, "uint8", TT_UINT8},
    {DType::kUInt16, 16, "uint16", TT_UINT16},
    {DType::kUInt32, 32, "uint32", TT_UINT32},
    {DType::kUInt64, 64, "uint64", 0},
    {DType::kUInt4, 4, "uint4", 0},
    {DType::kUInt2, 2, "uint2", 0},
    {DType::kUInt1, 1, "uint1", 0},
    {DType::kUInt6, 6, "uint6", 0},
    {DType::kUInt3, 3, "uint3", 0},
}};

const DTypeRow* find_row(DType dtype) {
  auto row = std::find_if(kRows.begin(), kRows.end(), [&](const DTypeRow& r) { return r.dtype == dtype; });
  return row == kRows.end() ? nullptr : &*row;
}

}  // namespace

int bits_of(DType dtype) {
  const DTypeRow* row = find_row(dtype);
  return row ? row->bits : 0;
}

std::string name_of(DType dtype) {
  const DTypeRow* row = find_row(dtype);
  return row ? row->name : "dtype " + std::to_string(static_cast<int32_t>(dtype));
}

tt_dtype abi_dtype(DType dtype) {
  const DTypeRow* row = find_row(dtype);
  return row ? row->abi : 0;
}

DType dtype_of_abi(tt_dtype dtype) {
  auto row = std::find_if(kRows.begin(), kRows.end(), [&](const DTypeRow& r) { return r.abi == dtype; });
  return dtype == 0 || row == kRows.end() ? DType::kUnused : row->dtype;
}

bool TensorType::is_static() const {
  return !any_rank && std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 0; });
}

int64_t TensorType::elements() const {
  int64_t count = 1;
  for (int64_t dimension : shape) count *= dimension;
  return count;
}

std::string describe_shape(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i) text += ", ";
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

std::string describe(const TensorType& type) {
  return name_of(type.dtype) + " " + (type.any_rank ? "[...]" : describe_shape(type.shape));
}

std::string describe_kind(const ValueType& type) {
  switch (type.kind) {
    case ValueType::Kind::kTensor:
      return describe(type.tensor);
    case ValueType::Kind::kList:
      return "a list";
    case ValueType::Kind::kTuple:
      return "a tuple";
    case ValueType::Kind::kDictionary:
      return "a dictionary";
    case ValueType::Kind::kState:
      return "a state of " + describe(type.tensor);
    default:
      return "nothing";
  }
}

}  // namespace tintype
