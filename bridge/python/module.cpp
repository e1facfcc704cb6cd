#include "bridge.h"
#include "tintype_version.h"

PYBIND11_MODULE(_bridge, m) {
  m.doc() = "Runtimes of ML Programs behind Tintype's C ABI. Internal: use `tintype.load_model`.";
  m.attr("VERSION") = TT_VERSION;
  tintype::init_runtime(m);
  tintype::init_model(m);
  tintype::init_halves(m);
  tintype::init_sha256(m);
}
