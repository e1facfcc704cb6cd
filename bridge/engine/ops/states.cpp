#include "ops/call.h"
#include "ops/registry.h"

namespace tintype {

namespace {

array read_state(Call& call) {
  return call.tensor("input");
}

// What coreml_update_state becomes in a package, with a read_state behind it where the value is used.
std::vector<array> write_state(Call& call) {
  call.write_state("input", call.tensor("data"));
  return {};
}

}  // namespace

OpTable states_ops() {
  return {
      {"read_state", read_state, "input"},
      {"write_state", write_state, "input data", 0, 0},
  };
}

}  // namespace tintype
