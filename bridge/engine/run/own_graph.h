#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "mlx/array.h"

namespace tintype {

/**
 * The graph that one op made: from its results back to what it was given.
 *
 * order       what waits to be computed, each array after its inputs, without views, which take no memory
 * peak_bytes  the most that is alive at once while it is computed in that order, the results included
 */
struct OwnGraph {
  std::vector<mlx::core::array> order;
  uint64_t peak_bytes = 0;
};

/** `given` are ids of arrays that are not the op's own. `peak_bytes` is UINT64_MAX if it takes no number. */
OwnGraph own_graph(const std::vector<mlx::core::array>& results,
                   const std::unordered_set<std::uintptr_t>& given);

/** Whether the array's primitive only describes the memory of its first input anew, as far as that can be
 * told before it is computed. */
bool is_view(const mlx::core::array& x);

/** The count of elements must not wrap around 64 bits. */
bool is_countable(const mlx::core::array& x);

}  // namespace tintype
