#include "ops/precision.h"

#include "kernels/primitives.h"
#include "ops/call.h"

namespace tintype {

array widened(const array& x) {
  bool half = x.dtype() == mx::float16 || x.dtype() == mx::bfloat16;
  return half && computes_on_cpu() ? kernels::cast(x, mx::float32) : x;
}

array widened_for_sum(const array& x) {
  bool half = x.dtype() == mx::float16 || x.dtype() == mx::bfloat16;
  return half ? kernels::cast(x, mx::float32) : x;
}

}  // namespace tintype
