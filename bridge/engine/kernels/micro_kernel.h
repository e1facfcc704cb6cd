#pragma once

namespace tintype::kernels {

/** Functions of one value that the kernels know; a and b are their parameters. */
enum class Unary {
  kCopy,
  kRelu,
  kAbs,
  kNegate,
  kSquare,
  kSqrt,
  kRsqrt,      // 1 / sqrt(x + a)
  kInverse,    // 1 / (x + a)
  kClip,       // a to b
  kAffine,     // a · x + b
  kLeakyRelu,  // x or a · x
  kExp,
  kErf,
  kTanh,
  kSigmoid,
  kSigmoidLinear,  // x · sigmoid(a · x)
  kGelu,
  kGeluTanh,
  kExp2,
  kLog,  // of x + a
  kSoftplus,
  kInverseErf,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAtanh,
};

enum class Binary { kAdd, kSub, kMul, kDiv, kMax, kMin };

/** Functions of the elements of up to three lines, by what they read and write; a and b are their parameters.
 * Integers are int32 and wrap around; a bool is a byte, 0 or 1. */
enum class Element {
  // float to float
  kCeil,
  kFloor,
  kRound,            // halves to the even number
  kSign,             // NaN stays NaN
  kThreshold,        // a or x
  kThresholdedRelu,  // 0 or x, which is at least a
  kClampedRelu,      // x or a · x, at most b
  kElu,              // x or a · (e^x - 1)
  kScaledTanh,       // a · tanh(b · x)
  kSigmoidHard,      // a · x + b, from 0 to 1
  kSoftsign,
  // two floats to a float
  kPrelu,     // x or y · x
  kFloorDiv,  // numpy's
  kMod,       // numpy's
  kPow,
  // two floats to a bool
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  // two integers to a bool
  kIntEqual,
  kIntNotEqual,
  kIntLess,
  kIntLessEqual,
  // bools
  kAnd,
  kOr,
  kXor,
  kNot,
  // an integer to an integer
  kIntAbs,
  kIntSign,
  // two integers to an integer; a quotient or remainder by 0 is 0
  kIntAdd,
  kIntSub,
  kIntMul,
  kIntMax,
  kIntMin,
  kIntDiv,  // rounded towards 0
  kIntFloorDiv,
  kIntMod,
  kIntPow,  // of a negative exponent: rounded towards 0, and 0 of 0
  // from type to type
  kFloatToInt,  // rounded towards 0, at the range's ends beyond it; 0 of NaN
  kIntToFloat,
  kFloatToBool,
  kIntToBool,
  kBoolToFloat,
  kBoolToInt,
  // a bool and two values of 1, 2 or 4 bytes
  kSelect1,
  kSelect2,
  kSelect4,
  // three floats, the second a scale and the third a zero point, to a byte from a to b
  kQuantize,
  // a byte, a scale and a zero point to a float
  kDequantize,
  kDequantizeUnsigned,
};

/** Where lines of numbers lie: float32, or float16 where `half`; element (i, j) at i · row + j · column. */
struct Lines {
  const void* data;
  long row, column;
  bool half;
};

constexpr int kIntegerRows = 4;       // that share what is read of the right factor
constexpr int kIntegerColumns = 256;  // with so many of them the sums stay in the first cache

/**
 * The innermost loops, once an instruction set. Their files are compiled with that set's flags, so nothing
 * there may use inline functions that other files share: the linker could hand those the wrong instructions.
 */
struct MicroKernel {
  int rows;     // of a tile
  int columns;  // of a tile
  /** c [height ≤ rows, columns] = or += a [depth, rows] transposed times b [depth, columns]. */
  void (*multiply)(int height, int depth, const float* a, const float* b, float* c, long row_stride,
                   bool add);
  /** to: panels [depth, width], a panel of lines after the other, line i in column i; lines from `count` on
   * are 0. */
  void (*pack)(const Lines& from, int count, int depth, int width, float* to);
  void (*widen)(long count, const unsigned short* x, float* y);
  void (*narrow)(long count, const float* x, unsigned short* y);
  void (*unary)(Unary op, float a, float b, long count, const float* x, float* y);
  /** y = x op z; a step of 0 repeats the one value there. */
  void (*binary)(Binary op, long count, const float* x, int x_step, const float* z, int z_step, float* y);
  /** The same from float16 to float16; what lies between is float32. */
  void (*unary_halves)(Unary op, float a, float b, long count, const unsigned short* x, unsigned short* y);
  void (*binary_halves)(Binary op, long count, const unsigned short* x, int x_step, const unsigned short* z,
                        int z_step, unsigned short* y);
  /** y = op of the lines `from`; y may be one of them. */
  void (*element)(Element op, float a, float b, long count, const void* const* from, void* y);
  /** to [rows ≤ kIntegerRows, columns ≤ kIntegerColumns] = x [rows, depth] times y [depth, columns], whose
   * lines are the given numbers of elements apart; unsigned, which wraps around. */
  void (*multiply_integers)(int rows, int columns, int depth, const unsigned* x, long x_line,
                            const unsigned* y, long y_line, unsigned* to, long to_line);
  /** y = softmax of x over `count` neighbouring elements. */
  void (*softmax)(long count, const float* x, float* y);
  /** softmax over the `count` rows of x, each `columns` long and `columns` after the last; in place. */
  void (*softmax_rows)(long count, float* x);
  /** y = (x - mean) / sqrt(variance + epsilon) · gamma + beta; null: 1 and 0. */
  void (*normalize)(long count, float epsilon, const float* x, const float* gamma, const float* beta,
                    float* y);
  /** Sum of x, in an order that depends on `count` alone. */
  float (*sum)(long count, const float* x);
  /**
   * One block of attention for `columns` queries: scores [keys, columns] become exp(score - highest),
   * `highest` and `total` [columns] are brought up to date, and the output so far [values, columns] is scaled
   * to match.
   */
  void (*fold)(int keys, int values, float* scores, float* highest, float* total, float* output);
  /** y[i] = bias + the sum of weights[t] · x[i + places[t]] over all taps t, in their order. */
  void (*slide_sum)(long count, int taps, const long* places, const float* weights, float bias,
                    const float* x, float* y);
  /** y[i] = the largest x[i + places[t]]; NaN wins. */
  void (*slide_max)(long count, int taps, const long* places, const float* x, float* y);
};

/** Null where the compiler or the machine lacks the instructions. */
const MicroKernel* micro_kernel_generic();
const MicroKernel* micro_kernel_avx2();
const MicroKernel* micro_kernel_avx512();

/** The best of them for this machine. */
const MicroKernel& micro_kernel();

}  // namespace tintype::kernels
