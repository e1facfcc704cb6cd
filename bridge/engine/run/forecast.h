#pragma once

#include <functional>
#include <string_view>

#include "program/program.h"

namespace tintype {

/** The declared type of an op's argument; nullptr where there is none. */
using TypeOfArgument = std::function<const TensorType*(std::string_view argument)>;

/** What an op without blocks is forecast to cost, roughly, from its declared types: 2^24 are some
 * milliseconds. Sizes that the types leave open count as 1. */
double forecast(const Operation& operation, const TypeOfArgument& type_of);

}  // namespace tintype
