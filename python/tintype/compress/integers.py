"""Symmetric integers: w ≈ scale·q, with one scale for a block of values.

The scale begins at the block's largest value and is then fitted: for given codes q the least-squares scale is
⟨w, q⟩ / ⟨q, q⟩. Codes are computed with the scale as it is stored, so its rounding costs nothing twice.
"""

import numpy as np
import numpy.typing as npt

from ..weight import Array

__all__ = ["quantize"]


def quantize(blocks: Array, bits: int, dtype: npt.DTypeLike) -> tuple[Array, Array]:
    """float32 (n, m) → int8 codes (n, m) in [−2^(bits−1), 2^(bits−1) − 1], scales (n,) of `dtype`."""
    largest = 2 ** (bits - 1)
    if bits >= 8:  # the last bit of range is not worth an asymmetric scale
        low, high = 1 - largest, largest - 1
        scale = (np.maximum(blocks.max(1), -blocks.min(1)) / np.float32(high)).astype(dtype)
        return _codes(blocks, scale.astype(np.float32)[:, None], low, high).astype(np.int8), scale
    # The value farthest from 0 becomes −2^(bits−1), which positive codes do not reach: the scale has its
    # sign. Blocks are short, and NumPy is far faster along their number than along a short last axis.
    low, high = -largest, largest - 1
    columns = np.ascontiguousarray(blocks.T)
    top, bottom = columns.max(0), columns.min(0)
    scale = np.where(top > -bottom, top, bottom) / np.float32(low)
    codes = _codes(columns, scale, low, high)
    square = np.einsum("mn,mn->n", codes, codes)
    fitted = np.einsum("mn,mn->n", columns, codes)
    scale = np.divide(fitted, square, out=scale, where=square > 0).astype(dtype)
    final = _codes(columns, scale.astype(np.float32), low, high).astype(np.int8)
    return np.ascontiguousarray(final.T), scale


def _codes(blocks: Array, scale: Array, low: int, high: int) -> Array:
    """float32 codes of float32 blocks; `scale` broadcasts to them."""
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
    codes: Array = blocks * inverse
    np.rint(codes, out=codes)
    return np.clip(codes, np.float32(low), np.float32(high), out=codes)
