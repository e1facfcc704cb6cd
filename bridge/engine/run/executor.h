#pragma once

#include <vector>

#include "mlx/array.h"
#include "program/program.h"
#include "run/value.h"

namespace tintype {

/** Runs a block's ops in order; values are released after their last use. Nothing is evaluated yet. */
std::vector<mlx::core::array> execute_block(const Block& block, const std::vector<mlx::core::array>& inputs,
                                            Frame& frame);

/** What a call's results may take, in bytes; the machine is asked only when `bytes` of them are many. */
uint64_t most_bytes(Frame& frame, uint64_t bytes);

/** Runs one op: its outputs go to their slots. */
void execute_operation(const Operation& operation, Frame& frame);

}  // namespace tintype
