#ifndef TINTYPE_CSHA256_H
#define TINTYPE_CSHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Whether the processor has instructions for SHA-256 that this library uses (x86-64's SHA extensions).
bool tintype_sha256_has_instructions(void);

/// Mixes `count` blocks of 64 bytes into the eight words of a state: by these instructions, which must be
/// there, or in portable C.
void tintype_sha256_mix(uint32_t* state, const void* blocks, size_t count, bool by_instructions);

#endif
