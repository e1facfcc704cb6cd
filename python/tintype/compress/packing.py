"""Codes of fewer than 8 bits in bytes, low bits first, as `weight.bin` holds them.

4 bits   byte = a | b << 4
6 bits   3 bytes = a | b << 6 | c << 12 | d << 18, little-endian
"""

import numpy as np

from ..weight import Array

__all__ = ["pack"]


def pack(codes: Array, bits: int) -> Array:
    """uint8 codes (n,), each below 2^bits, → uint8 (⌈n·bits / 8⌉,); bits above the last code are 0."""
    if bits == 8:
        return codes
    if bits == 4:
        even = np.pad(codes, (0, len(codes) % 2)) if len(codes) % 2 else np.ascontiguousarray(codes)
        pairs = even.view("<u2")  # a | b << 8; strided bytes are slower by far
        packed: Array = (pairs | (pairs >> np.uint16(4))).astype(np.uint8)
        return packed
    if bits == 6:
        four = np.pad(codes, (0, -len(codes) % 4))
        a, b, c, d = (four[i::4] for i in range(4))
        out = np.empty((len(four) // 4, 3), np.uint8)
        out[:, 0] = a | (b << np.uint8(6))
        out[:, 1] = (b >> np.uint8(2)) | (c << np.uint8(4))
        out[:, 2] = (c >> np.uint8(4)) | (d << np.uint8(2))
        return out.reshape(-1)[: -(-len(codes) * 6 // 8)]
    raise ValueError(f"codes of {bits} bits are not packed, expected 4, 6 or 8")
