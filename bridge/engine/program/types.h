#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tintype.h"

namespace tintype {

/** Element types, with the numbers of MIL.proto's DataType. */
enum class DType : int32_t {
  kUnused = 0,
  kBool = 1,
  kString = 2,
  kFloat16 = 10,
  kFloat32 = 11,
  kFloat64 = 12,
  kBFloat16 = 13,
  kInt8 = 21,
  kInt16 = 22,
  kInt32 = 23,
  kInt64 = 24,
  kInt4 = 25,
  kUInt8 = 31,
  kUInt16 = 32,
  kUInt32 = 33,
  kUInt64 = 34,
  kUInt4 = 35,
  kUInt2 = 36,
  kUInt1 = 37,
  kUInt6 = 38,
  kUInt3 = 39,
};

/** Bits of one element; 0 for types that have no numbers (strings) or that nobody may store. */
int bits_of(DType dtype);

/** "float16", "uint4", …; "dtype 99" for a number that MIL does not define. */
std::string name_of(DType dtype);

/** The type that numpy would use for it, and back; 0 and kUnused where there is none. */
tt_dtype abi_dtype(DType dtype);
DType dtype_of_abi(tt_dtype dtype);

/** A dimension that is known only at run time. */
inline constexpr int64_t kUnknownDimension = -1;

/** No tensor's axis may be longer: MLX counts them in int32. */
inline constexpr int64_t kLongestDimension = 0x7fffffff;

/** No tensor may have more elements; far beyond memory, far below an overflow of byte counts. */
inline constexpr int64_t kMostElements = int64_t{1} << 40;

/** Shape and element type of a tensor as a program declares it. */
struct TensorType {
  DType dtype = DType::kUnused;
  bool any_rank = false;
  std::vector<int64_t> shape;

  bool is_static() const;
  /** Number of elements of a static shape. */
  int64_t elements() const;
};

/** What a name in a program stands for. */
struct ValueType {
  enum class Kind { kNone, kTensor, kList, kTuple, kDictionary, kState };
  Kind kind = Kind::kNone;
  TensorType tensor;  // of a tensor, of a list's elements, of what a state wraps
};

/** "float16 [1, 77, ?]". */
std::string describe(const TensorType& type);
/** The same of any value: "a list", "a state of float16 [2]". */
std::string describe_kind(const ValueType& type);
std::string describe_shape(const std::vector<int64_t>& shape);

}  // namespace tintype
