"""Whether all of many float16 or float32 numbers are finite, at the speed at which memory is read."""

from typing import Any

import numpy as np

from ...weight import Array

__all__ = ["all_finite"]

#: Elements that are looked at twice while they stay in the cache.
PIECE = 1 << 18

#: Size of an element → integers of that size, signed and not, and the bits of infinity without a sign and
#: with one. What has no sign bit is ordered as signed integers are, what has one as unsigned ones are, and
#: NaN lie above infinity: two maxima, which need no memory, tell.
KINDS: dict[int, tuple[tuple[Any, int], tuple[Any, int]]] = {
    2: ((np.int16, 0x7C00), (np.uint16, 0xFC00)),
    4: ((np.int32, 0x7F800000), (np.uint32, 0xFF800000)),
}


def all_finite(values: Array) -> bool:
    """Whether a contiguous float16 or float32 array has neither infinities nor NaN."""
    flat = values.reshape(-1)
    for begin in range(0, flat.size, PIECE):
        piece = flat[begin : begin + PIECE]
        for integer, infinity in KINDS[values.dtype.itemsize]:
            if int(piece.view(integer).max()) >= infinity:
                return False
    return True
