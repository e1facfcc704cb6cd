/** C statuses as the exception classes of `tintype.errors`, with the same text. */
#pragma once

#include <string>

#include "bridge.h"

namespace tintype {

/** Raises the exception class that belongs to `status`. */
[[noreturn]] void raise_status(tt_status status, const std::string& message);

/** Takes the text of a failed call, frees it with the table's `string_free`, and raises. */
[[noreturn]] void raise_call(const tt_api& api, tt_status status, char* error);

/** Raises `InvalidInputError`. */
[[noreturn]] void raise_invalid(const std::string& message);

/** Raises `BackendUnavailable`. */
[[noreturn]] void raise_unavailable(const std::string& message);

/** A Python string of possibly damaged UTF-8; what cannot be decoded is replaced. */
pybind11::str text(const std::string& bytes);

}  // namespace tintype
