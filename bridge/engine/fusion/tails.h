#pragma once

#include "fusion/graph.h"

namespace tintype {

/** Element-wise ops behind one op, at most. The kernels hold one more: the rounding of what they begin with.
 */
constexpr size_t kLongestTail = 7;

/** True for ops whose kernel can compute element-wise functions on its result before it stores it. */
bool takes_tail(const Graph& graph, const Operation& operation);

/** The element-wise op that reads the op's result, if nothing else does and the shape stays. */
const Operation* next_step(const Graph& graph, const Operation& operation);

}  // namespace tintype
