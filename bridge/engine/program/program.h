#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "program/types.h"

namespace tintype {

struct OpEntry;
struct Fusion;

/** A value written in the program itself, or a place in the weight file. */
struct Literal {
  ValueType type;
  bool in_file = false;
  std::string file_name;       // of a value in a file
  uint64_t file_offset = 0;    // of its metadata there
  std::vector<uint8_t> bytes;  // tensor elements, little-endian; sub-byte types packed
  std::vector<std::string> strings;
  std::vector<Literal> items;  // of a list or tuple
};

/** An argument of an op: a name defined before it, or a literal; `slot` once names are resolved. */
struct Binding {
  std::string name;
  std::shared_ptr<const Literal> literal;
  int slot = -1;
  bool is_only_use = false;  // of a value that an op of the same block makes
};

struct Argument {
  std::string name;
  std::vector<Binding> bindings;
};

/** A name that an op, a block or a function defines, and its declared type. */
struct Definition {
  std::string name;
  ValueType type;
  int slot = -1;
};

struct Block;

struct Operation {
  std::string type;
  std::string name;
  std::vector<Argument> arguments;
  std::vector<Definition> outputs;
  std::vector<Block> blocks;
  std::shared_ptr<const Literal> value;  // of a const
  const OpEntry* entry = nullptr;
  int index = -1;             // within the function, for what ops keep between calls
  std::vector<int> releases;  // slots that nobody reads after this op
  // Several ops that run as one (fusion/fuse.h): `outputs` are the last one's, `arguments` what all read.
  std::vector<Operation> parts;
  const Fusion* fusion = nullptr;  // computes them at once where it can; none: they run in turn
};

struct Block {
  std::vector<Definition> inputs;
  std::vector<Binding> outputs;
  std::vector<Operation> operations;
};

struct Function {
  std::string name;
  std::string opset;
  std::vector<Definition> inputs;
  Block block;
  int slot_count = 0;
  int operation_count = 0;
};

struct Program {
  int64_t version = 0;
  std::vector<Function> functions;
};

/** Sizes that an input may have on one axis. */
struct DimensionRange {
  int64_t lowest = 0;
  int64_t highest = -1;  // -1: no limit
};

/** An image's layout as Model.proto numbers it. */
enum class ColorLayout : int32_t { kNone = 0, kGrayscale = 10, kRGB = 20, kBGR = 30, kGrayscaleFloat16 = 40 };

/** What the description says of an image; sizes are those of the picture. */
struct ImageDescription {
  ColorLayout layout = ColorLayout::kNone;
  DimensionRange width, height;
  std::vector<std::pair<int64_t, int64_t>> enumerated;  // width, height; empty: the ranges hold
};

/** What the package's description says of an input, output or state. */
struct Feature {
  std::string name;
  DType dtype = DType::kUnused;  // kUnused: the description leaves it to the program
  std::vector<int64_t> shape;    // the default shape
  std::vector<DimensionRange> ranges;
  std::vector<std::vector<int64_t>> enumerated;
  bool optional = false;
  bool is_array = false;
  std::optional<ImageDescription> image;
  bool has_default = false;
  double default_value = 0;
};

struct FunctionDescription {
  std::string name;
  std::vector<Feature> inputs, outputs, states;
};

/** A parsed model.mlmodel. */
struct Specification {
  int64_t version = 0;
  std::string default_function;
  std::vector<FunctionDescription> functions;
  std::vector<std::pair<std::string, std::string>> metadata;
  Program program;
};

/** Reads model.mlmodel; TT_ERROR_FORMAT if damaged, TT_ERROR_UNSUPPORTED if it is no ML Program. */
Specification parse_specification(std::span<const uint8_t> bytes);

/** "op_type "name"", the place that errors name. */
std::string place_of(const Operation& operation);

/**
 * Resolves every name to a slot, finds every op in the table, checks arguments, literals and declared types,
 * and notes where values die. TT_ERROR_FORMAT or TT_ERROR_UNSUPPORTED with op and problem.
 */
void resolve_program(Program& program);

}  // namespace tintype
