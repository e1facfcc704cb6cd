#pragma once

#include <cstddef>

namespace tintype::kernels {

constexpr size_t kLargePage = size_t{2} << 20;

/** Asks for pages of 2 MiB where whole ones lie inside: large memory comes from the system page by page, a
 * fault of 4 KiB costs as much as computing its numbers, and the processor remembers few pages' places. */
void want_large_pages(void* data, size_t bytes);

}  // namespace tintype::kernels
