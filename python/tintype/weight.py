"""What a layer needs to know of a weight: shape and bytes on demand, never the file that it comes from.

A leaf module between `weights`, which implements these protocols over memory-mapped files, and `layers` and
`models`, which work from any source. It imports NumPy only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "ComputedWeight", "DerivedWeight", "Weight", "WeightProvider"]

Array = npt.NDArray[Any]


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
    """A weight whose elements are those of another in a different order; `make(dtype)` gives the tensor."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[npt.DTypeLike], Array]

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The tensor as `dtype`."""
        return np.ascontiguousarray(self.make(dtype)).reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """A part of the tensor."""
        return self.array(dtype).reshape(-1)[begin:end]

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """One piece."""
        yield self.array(dtype).reshape(-1)
