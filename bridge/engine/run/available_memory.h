#pragma once

#include <cstdint>

namespace tintype {

/** Bytes that this process may still take: what the system calls available, and not more than its control
 * group (a container's limit) and `memory_to_allocate` leave. Elsewhere than on Linux MLX's own limit. */
uint64_t available_memory();

/** Bytes that the system would still promise, used or not: what is left of the process' own limits
 * (RLIMIT_AS, RLIMIT_DATA), and of the machine's where it promises no more than it has. UINT64_MAX without
 * such limits. */
uint64_t memory_to_allocate();

/** Whether an allocation of `bytes` is small or leaves something of what is available. */
bool fits_in_memory(uint64_t bytes);

}  // namespace tintype
