"""PyTorch's CPU generator without PyTorch: `torch.randn(n, generator=torch.Generator().manual_seed(seed))`.

Single-precision Box and Muller by the polynomials of Cephes, evaluated as PyTorch's AVX2 build does
(aten/src/ATen/native/cpu/avx_mathfun.h, products fused into sums): NumPy's functions differ in the last bit.
"""

import math
from typing import Any

import numpy as np

__all__ = ["TorchRandom"]

Array = np.ndarray[Any, Any]

#: Normals that are made together: eight radii, then eight angles.
BLOCK = 16
#: Values at a time, so that intermediate arrays stay in the processor's cache.
PIECE = 512 * BLOCK
#: The bits of a float64 that a float32 lacks, and their value half way between two float32 numbers.
EXTRA_BITS, HALF_WAY = np.int64((1 << 29) - 1), np.int64(1 << 28)

LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
#: π/4 in three parts, so that the difference keeps its bits.
QUARTER_TURN = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)


class TorchRandom:
    """16 values or more: 24-bit uniforms, turned into normals in blocks of 16 (`normal_fill`); what is left
    over at the end is drawn anew together with the values before it. Fewer values: one at a time in float64,
    and every second one is kept for later."""

    def __init__(self, seed: int) -> None:
        # Both generators seed the Mersenne Twister by Knuth's recurrence.
        self._words = np.random.RandomState(seed)
        self._spare: float | None = None

    def normals(self, count: int) -> Array:
        """The next `count` values, float32 [count]."""
        if count < BLOCK:
            return np.array([self._normal() for _ in range(count)], dtype=np.float32)
        uniforms = self._uniforms(count)
        whole = count // BLOCK * BLOCK
        values = np.empty(count, dtype=np.float32)
        for start in range(0, whole, PIECE):
            end = min(start + PIECE, whole)
            values[start:end] = _box_muller(uniforms[start:end])
        if whole < count:
            values[-BLOCK:] = _box_muller(self._uniforms(BLOCK))
        return values

    def _uniforms(self, count: int) -> Array:
        """float32 in [0, 1), 24 random bits."""
        words = self._words.randint(0, 1 << 32, size=count, dtype=np.uint32)
        return np.asarray((words & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2**-24))

    def _normal(self) -> float:
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        angle = 2 * math.pi * self._long_uniform()
        radius = math.sqrt(-2 * math.log1p(-self._long_uniform()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _long_uniform(self) -> float:
        """In [0, 1), 53 random bits."""
        high, low = (int(word) for word in self._words.randint(0, 1 << 32, size=2, dtype=np.uint32))
        return float((high << 32 | low) & ((1 << 53) - 1)) * 2.0**-53


def _box_muller(uniforms: Array) -> Array:
    """Normals of as many uniforms, float32 [16·n]."""
    blocks = uniforms.reshape(-1, 2, BLOCK // 2)
    radius = np.sqrt(np.float32(-2) * _log(np.float32(1) - blocks[:, 0]))
    sine, cosine = _sine_cosine(np.float32(2 * math.pi) * blocks[:, 1])
    return np.stack([radius * cosine, radius * sine], axis=1).ravel()


def _fused(a: Array, b: "Array | np.float32", c: "Array | np.float32") -> Array:
    """a·b + c, rounded to float32 once."""
    product = a.astype(np.float64) * b  # exact
    total = np.asarray(product + c)
    half_way = (total.view(np.int64) & EXTRA_BITS) == HALF_WAY
    if half_way.any():
        # float64 rounded the sum to the middle between two float32 numbers; what it dropped decides.
        addend = np.broadcast_to(np.asarray(c, dtype=np.float64), total.shape)
        part = total - product
        dropped = (product - (total - part)) + (addend - part)
        nudged = np.nextafter(total, np.where(dropped > 0, np.inf, -np.inf))
        total = np.where(half_way & (dropped != 0), nudged, total)
    return total.astype(np.float32)


def _polynomial(factors: tuple[float, ...], x: Array) -> Array:
    total = np.full_like(x, factors[0])
    for factor in factors[1:]:
        total = _fused(total, x, np.float32(factor))
    return total


def _log(values: Array) -> Array:
    """Natural logarithms of positive, normal float32 numbers."""
    x, exponent = np.frexp(values)  # 0.5 ≤ x < 1
    small = x < np.float32(math.sqrt(0.5))
    exponent = (exponent - small).astype(np.float32)
    x = np.where(small, x - np.float32(1) + x, x - np.float32(1))
    square = x * x
    tail = _fused(_polynomial(LOG, x) * x, square, exponent * np.float32(-2.12194440e-4))
    return np.asarray(x + (tail - square * np.float32(0.5)) + exponent * np.float32(0.693359375))


def _sine_cosine(angles: Array) -> tuple[Array, Array]:
    """Of float32 angles in 0…2π."""
    octant = ((angles * np.float32(4 / math.pi)).astype(np.int32) + 1) & ~1
    turns = octant.astype(np.float32)
    x = angles
    for part in QUARTER_TURN:
        x = _fused(turns, np.float32(part), x)
    square = x * x
    even = _fused(_polynomial(COSINE, square) * square, square, -square * np.float32(0.5)) + np.float32(1)
    odd = _fused(_polynomial(SINE, square) * square, x, x)
    straight = (octant & 2) == 0
    sine, cosine = np.where(straight, odd, even), np.where(straight, even, odd)
    return (
        np.where((octant & 4) == 0, sine, -sine),
        np.where(((octant - 2) & 4) == 0, -cosine, cosine),
    )
