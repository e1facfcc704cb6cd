/** The bindings' parts; every `init_` function adds one domain to the module. */
#pragma once

#include <pybind11/pybind11.h>

#include "tintype.h"

namespace tintype {

/** The class `Runtime`: an opened library and its function table. */
void init_runtime(pybind11::module_& m);

/** The classes `Model` and `Feature`. */
void init_model(pybind11::module_& m);

/** Conversions of float16, where the processor has them and NumPy does not use them. */
void init_halves(pybind11::module_& m);

/** The class `Sha256`, where the processor has instructions for it. */
void init_sha256(pybind11::module_& m);

}  // namespace tintype
