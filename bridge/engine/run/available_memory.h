#pragma once

#include <cstdint>

namespace tintype {

/** Bytes that this process may still take: what the system calls available, and not more than its control
 * group (a container's limit) leaves. Elsewhere than on Linux MLX's own limit. */
uint64_t available_memory();

/** Whether an allocation of `bytes` is small or leaves something of what is available. */
bool fits_in_memory(uint64_t bytes);

}  // namespace tintype
