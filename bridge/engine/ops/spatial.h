#pragma once

#include <string>
#include <vector>

#include "ops/call.h"

namespace tintype {

/** Strides, dilations and paddings of a convolution or a pool over the axes after batch and channel. */
struct Spatial {
  std::vector<int> kernel, strides, dilations;
  std::vector<int> before, after;  // padding

  /** Length of a dilated kernel on an axis. */
  int reach(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }
};

/** Reads strides, pad_type, pad and dilations for a tensor of `shape` [n, c, *d]; refuses what does not fit.
 */
Spatial spatial_of(Call& call, const mx::Shape& shape, std::vector<int> kernel);

/** [n, c, *d] -> [n, *d, c] and back. */
array channels_last(const array& x);
array channels_first(const array& x);

}  // namespace tintype
