"""float16 ↔ float32, and bfloat16 → float16, to the bit what NumPy's casts give.

NumPy's builds for x86 convert one number at a time, at about 0.5 G numbers/s a core. `_bridge` has the
processor's own conversions there; where it has none, and for arrays with infinities and NaN, NumPy casts.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _bridge

__all__ = ["bfloat16_to_float16", "by_hardware", "converted"]

Array = npt.NDArray[Any]

#: (from, to) → the conversion of `_bridge`.
HARDWARE = {
    ("float16", "float32"): "half_to_float",
    ("float32", "float16"): "float_to_half",
    ("bfloat16", "float16"): "bfloat_to_half",
}


def converted(values: Array, dtype: npt.DTypeLike) -> Array:
    """`values` as `dtype`, themselves if they have it. FloatingPointError if a finite number becomes
    infinite."""
    found = by_hardware(values, values.dtype.name, dtype)
    if found is not None:
        return found
    with np.errstate(over="raise"):
        return values.astype(dtype, copy=False)


def bfloat16_to_float16(bits: Array) -> Array:
    """bfloat16's bits, a uint16 array, as float16. FloatingPointError where one is 65536 or more, infinite or
    NaN."""
    found = by_hardware(bits, "bfloat16", np.float16)
    if found is None:
        found = converted((bits.astype(np.uint32) << 16).view(np.float32), np.float16)
        if not np.isfinite(found).all():
            raise FloatingPointError("an infinity or NaN")
    return found


def by_hardware(values: Array, source: str, dtype: npt.DTypeLike) -> Array | None:
    """`values`, the bits of numbers of the type `source`, as `dtype`, all of them finite; None where
    `_bridge` has no such conversion, or a result is not finite."""
    convert = getattr(_bridge, HARDWARE.get((source, np.dtype(dtype).name), ""), None)
    if convert is None:
        return None
    flat = np.ascontiguousarray(values).reshape(-1)
    found = np.empty(flat.size, dtype)
    return found.reshape(values.shape) if convert(flat, found) else None
