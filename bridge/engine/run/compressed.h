#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "format/blob.h"
#include "kernels/compressed.h"
#include "run/value.h"

namespace tintype {

struct Operation;

/** The argument of a constexpr op that holds a weight's codes, as opposed to their parameters. */
bool holds_codes(const Operation& operation, std::string_view argument);

/**
 * The weight of a constexpr op whose codes can stay as they are in the file, or null: on a GPU, for small
 * weights and for layouts that are expanded once instead. `constants` holds the op's other arguments.
 */
std::shared_ptr<kernels::CompressedWeight> compressed_weight(const Operation& operation,
                                                             const TensorType& stored, const Blob& blob,
                                                             std::shared_ptr<const void> owner,
                                                             const std::vector<Value>& constants);

}  // namespace tintype
