"""What a layer needs to know of a weight: shape and bytes on demand, never the file that it comes from.

A leaf module between `weights`, which implements these protocols over memory-mapped files, and `layers` and
`models`, which work from any source. It imports NumPy only.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "ComputedWeight", "DerivedWeight", "Weight", "WeightProvider"]

Array = npt.NDArray[Any]

#: Elements of a piece, unless one block has more.
PIECE_ELEMENTS = 1 << 20


class Weight(Protocol):
    """One constant tensor whose bytes are produced when the package is written."""

    @property
    def name(self) -> str:
        """The key in the checkpoint, for messages."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, row-major."""

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype` (float16, float32 or int32); for small tensors."""

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) in row-major order as `dtype`, flat."""

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The elements in row-major order as `dtype`, in flat pieces of bounded size."""


class WeightProvider(Protocol):
    """A mapping-like source of weights that records what was asked for."""

    def get(self, key: str, shape: tuple[int, ...]) -> Weight:
        """The weight called `key`.

        A missing key or another shape is not raised here: the provider notes it, hands out a placeholder of
        the expected shape and reports everything at once when the model is complete.
        """

    def __contains__(self, key: object) -> bool:
        """Whether the checkpoint holds `key`."""


@dataclass(frozen=True)
class ComputedWeight:
    """A small weight computed from other weights or from nothing; `make` runs when the package is written.

    `make` returns float32 (or int32) of shape `shape`; rounding to the package's dtype comes last.
    """

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Array]

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The tensor, computed and rounded to `dtype`."""
        value = np.ascontiguousarray(self.make(), dtype=dtype)
        if value.shape != self.shape:
            raise ValueError(f"{self.name} was computed as {value.shape}, declared as {self.shape}")
        return value

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """A part of the tensor."""
        return self.array(dtype).reshape(-1)[begin:end]

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """One piece."""
        yield self.array(dtype).reshape(-1)


@dataclass(frozen=True)
class DerivedWeight:
    """A weight made of another block by block: `make(begin, end, dtype)` gives its elements [begin, end),
    flat, where both are multiples of `block`."""

    name: str
    shape: tuple[int, ...]
    block: int
    make: Callable[[int, int, npt.DTypeLike], Array]

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The tensor as `dtype`."""
        return self.make(0, self._count, dtype).reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """A part of the tensor."""
        end = min(end, self._count)
        first, last = begin // self.block * self.block, -(-end // self.block) * self.block
        return self.make(first, last, dtype)[begin - first : end - first]

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """Some blocks a piece."""
        step = max(1, PIECE_ELEMENTS // self.block) * self.block
        for begin in range(0, self._count, step):
            yield self.make(begin, min(begin + step, self._count), dtype)

    @property
    def _count(self) -> int:
        return math.prod(self.shape)
