#include "bridge.h"
#include "tintype_version.h"

PYBIND11_MODULE(_bridge, m) {
  m.doc() = "Runtimes of ML Programs behind Tintype's C ABI. Internal: use `tintype.load_model`.";
  m.attr("VERSION") = TT_VERSION;
  m.attr("ABI_VERSION") = TT_ABI_VERSION;
  m.attr("MAX_RANK") = TT_MAX_RANK;
  tintype::init_runtime(m);
  tintype::init_model(m);
  tintype::init_halves(m);
}
