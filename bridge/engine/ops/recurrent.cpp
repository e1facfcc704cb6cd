#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

OpTable recurrent_ops() {
  return {};
}

}  // namespace tintype
