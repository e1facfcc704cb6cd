"""A weight in fewer bits as the tensors that a package stores: codes and their scales or tables.

Both come out of one pass over the source, block of rows by block of rows and on all cores. The pass runs when
the first of the two is written; what it gave, a few tens of megabytes at most, is kept until both are. Two
threads may write them: the second waits for the pass of the first.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConversionError
from ..weight import Array, Weight
from .integers import quantize
from .packing import pack
from .palette import palettize
from .recipes import Recipe

__all__ = ["CompressedWeight", "Encoded", "UnevenWeightError"]

#: Elements that a thread works on at once.
BLOCK_ELEMENTS = 1 << 18

#: Bits → the largest error of a weight that is a weight's error, and not a sign of damage.
MAX_ERROR = {4: 0.5, 6: 0.2, 8: 0.1}


class UnevenWeightError(ConversionError):
    """A recipe costs a weight more than it may."""


class Parts(NamedTuple):
    """Packed codes, uint8; scales or tables, flat; sums of squares of the error and of the weight."""

    codes: Array
    table: Array
    error: float
    norm: float


class CompressedWeight:
    """`source`, seen as (out, in, …), stored by `recipe`; scales and tables have the NumPy dtype `dtype`.

    `error` is ‖stored − source‖ / ‖source‖, known once the tensors are written.
    """

    def __init__(self, source: Weight, shape: tuple[int, ...], recipe: Recipe, dtype: npt.DTypeLike) -> None:
        if not recipe.fits(shape):
            raise ValueError(f"{source.name} {shape} cannot be divided for {recipe.name}")
        self.source, self.shape, self.recipe, self.dtype = source, shape, recipe, np.dtype(dtype)
        self.error: float | None = None
        self._parts: Parts | None = None
        self._left = 2
        self._passing = threading.Lock()

    @property
    def table_shape(self) -> tuple[int, ...]:
        """Shape of the scales (out, in / block, 1 …) or of the tables (out / block, 1 …, 2^bits, 1)."""
        ones = (1,) * (len(self.shape) - 2)
        if self.recipe.kind == "palette":
            return (self.shape[0] // self._block, 1, *ones, 1 << self.recipe.bits, 1)
        return (self.shape[0], self.shape[1] // self._block, *ones)

    @property
    def codes(self) -> "Encoded":
        """The codes as a tensor of `shape`."""
        return Encoded(f"{self.source.name}.codes", self.shape, self.recipe.bits, lambda: self._take().codes)

    @property
    def table(self) -> "Encoded":
        """The scales or tables as a tensor of `table_shape`."""
        bits = 8 * self.dtype.itemsize
        return Encoded(f"{self.source.name}.table", self.table_shape, bits, lambda: self._take().table)

    @property
    def _block(self) -> int:
        return self.recipe.block or self.shape[1]

    def _take(self) -> Parts:
        with self._passing:
            parts = self._parts or self._compress()
            self._left -= 1
            self._parts = parts if self._left > 0 else None
            if self._left == 0:
                self._left = 2
            return parts

    def _compress(self) -> Parts:
        row = int(np.prod(self.shape[1:]))
        step = self.recipe.block if self.recipe.kind == "palette" and self.recipe.block else 16
        rows = max(step, BLOCK_ELEMENTS // row // step * step)
        work = [(b, min(b + rows, self.shape[0])) for b in range(0, self.shape[0], rows)]
        parts = list(_on_all_cores(lambda span: self._rows(*span), work))
        norm, error = sum(p.norm for p in parts), sum(p.error for p in parts)
        self.error = float(np.sqrt(error / norm)) if norm > 0 else 0.0
        if not np.isfinite(self.error) or self.error > MAX_ERROR[self.recipe.bits]:
            raise UnevenWeightError(
                f"{self.source.name}: stored as {self.recipe.name} it differs by {100 * self.error:.1f} % "
                f"(expected at most {100 * MAX_ERROR[self.recipe.bits]:.0f} %): its values are damaged or "
                "too uneven, convert its component with more bits or without --quantize"
            )
        return Parts(
            np.concatenate([p.codes for p in parts]), np.concatenate([p.table for p in parts]), error, norm
        )

    def _rows(self, begin: int, end: int) -> Parts:
        row = int(np.prod(self.shape[1:]))
        values = self.source.elements(begin * row, end * row, np.float32)
        largest = float(max(values.max(), -values.min()))  # NaN is found by both
        if not np.isfinite(largest):
            raise ConversionError(
                f"{self.source.name} holds infinities or NaN: download the checkpoint again, or convert "
                "without --quantize"
            )
        # What codes and their scales give is computed in `dtype` when the package runs.
        if largest > float(np.finfo(self.dtype).max):
            raise ConversionError(
                f"{self.source.name} holds {largest:.6g}, beyond {np.finfo(self.dtype).max:g}, the largest "
                f"{self.dtype.name}: convert with precision float32"
            )
        encode = self._palette if self.recipe.kind == "palette" else self._integers
        codes, table, stored = encode(values, end - begin)
        difference = stored.reshape(-1)
        difference -= values
        return Parts(
            pack(codes.reshape(-1).view(np.uint8), self.recipe.bits),
            table.reshape(-1),
            float(np.vdot(difference, difference)),
            float(np.vdot(values, values)),
        )

    def _palette(self, values: Array, rows: int) -> tuple[Array, Array, Array]:
        codes, table = palettize(values.reshape(rows // self._block, -1), self.recipe.bits)
        rounded = table.astype(self.dtype)
        first = np.arange(len(table), dtype=np.uint32)[:, None] << np.uint32(self.recipe.bits)
        stored = rounded.astype(np.float32).reshape(-1).take(codes + first)
        return codes, rounded, stored

    def _integers(self, values: Array, rows: int) -> tuple[Array, Array, Array]:
        taps = int(np.prod(self.shape[2:]))
        blocks = values.reshape(-1, self._block * taps)
        codes, scale = quantize(blocks, self.recipe.bits, self.dtype)
        stored = codes * scale.astype(np.float32)[:, None]
        if self.recipe.bits < 8:  # two's complement, without the bits that are not stored
            codes = codes & np.int8((1 << self.recipe.bits) - 1)
        del rows
        return codes, scale, stored


@dataclass(frozen=True)
class Encoded:
    """A tensor of `bits` an element whose bytes `make` gives packed; implements `tintype.weight.Weight`."""

    name: str
    shape: tuple[int, ...]
    bits: int
    make: Callable[[], Array]

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The packed bytes as `dtype`, flat."""
        return self.make().view(dtype)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """A part of the packed bytes as `dtype`."""
        return self.array(dtype)[begin:end]

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The packed bytes in one piece."""
        del dtype
        yield self.make()


def _on_all_cores(work: Callable[[Any], Parts], items: list[Any]) -> Iterator[Parts]:
    """`work` of every item, in order, with no more than two items a core under way."""
    cores = os.cpu_count() or 1
    if len(items) == 1:
        yield work(items[0])
        return
    with ThreadPoolExecutor(cores) as pool:
        pending: deque[Future[Parts]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * cores:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
