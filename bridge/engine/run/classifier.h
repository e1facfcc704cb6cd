#pragma once

#include <optional>
#include <string>

#include "program/program.h"
#include "support/json.h"

namespace tintype {

/** The type of an output as callers get it, `declared` by the program: a classifier's label and dictionary
 * travel as tensors (ops/classify.cpp). */
TensorType carried_type(const Function& function, const std::string& name, const TensorType& declared);

/** {"label", "probabilities", "classes"} if the function is a classifier. */
std::optional<Json> describe_classifier(const Function& function);

}  // namespace tintype
