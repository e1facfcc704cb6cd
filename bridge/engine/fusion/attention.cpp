#include "fusion/fuse.h"

namespace tintype {
const FusionTable& attention_fusions() {
  static const FusionTable table;
  return table;
}
const FusionTable& conv_fusions() {
  static const FusionTable table;
  return table;
}
}  // namespace tintype
