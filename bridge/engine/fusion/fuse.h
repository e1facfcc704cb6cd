#pragma once

#include <optional>
#include <vector>

#include "fusion/graph.h"
#include "mlx/array.h"
#include "ops/call.h"

namespace tintype {

/**
 * A group of ops that the engine computes at once. `match` looks at a block from the op that makes the
 * group's value, of type `root`, and gives the places of all ops of the group, or none. No value in the group
 * may be read outside it: `fuse` sees to that. `run` gets the ops in the program's order, and computes what
 * the last one would, or nothing: then they run in turn. `only_reader` says that nobody else reads the
 * group's input.
 */
struct Fusion {
  const char* name;
  const char* root;
  std::vector<size_t> (*match)(const Graph& graph, const Operation& root);
  std::optional<array> (*run)(std::vector<Call>& parts, bool only_reader);
};

/**
 * Joins ops of a loaded function that the CPU computes at once: patterns, and behind a product, a convolution
 * or a normalisation the element-wise ops on its result. Joined ops stay as the parts of one op named "a +
 * b". Results keep the roundings that the program declares, but for values inside a pattern, which are not
 * rounded. With TINTYPE_FUSION=0 in the environment nothing is joined.
 */
void fuse(Function& function, const std::vector<Value>& constants);

/** The patterns, one family a file; they live as long as the process. */
using FusionTable = std::vector<Fusion>;
const FusionTable& norm_fusions();
const FusionTable& activation_fusions();

}  // namespace tintype
