#pragma once

#include <vector>

#include "ops/call.h"

namespace tintype {

/** Boxes that no better one covers. iOS15 has the boxes' axis before that of their four numbers, a least
 * score and a fourth output; iOS17 has the boxes' axis last. Rows that no box fills are 0, their index is -1.
 */
std::vector<array> non_maximum_suppression(Call& call);

}  // namespace tintype
