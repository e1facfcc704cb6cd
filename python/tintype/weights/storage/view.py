"""Tensors made of stored ones, read lazily: slices and joins of rows, joins of columns, other forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...weight import Array, Weight
from .safetensors import CHUNK_ELEMENTS

__all__ = ["Form", "JoinedColumns", "TensorView"]

#: What becomes of a tensor's axes.
#:     as it is
#:     matrix        (O, I, 1, 1) or (O, 1, 1, I) → (O, I): a 1×1 kernel
#:     transposed    (I, O) → (O, I)
#:     kernel        (O, H, W, I) → (O, I, H, W), and (O, I) → (O, I, 1, 1)
#:     batch         … → (1, …)
Form = Literal["as it is", "matrix", "transposed", "kernel", "batch"]


@dataclass(frozen=True)
class TensorView:
    """The elements [begin, end) of `source` in each of `ranges`, one after another; implements `Weight`.

    `name` is the key that models use. With `order`, the axes of `stored` (the shape of what the ranges give)
    are put in that order, which needs the tensor in memory.
    """

    name: str
    source: Weight
    shape: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    stored: tuple[int, ...] = ()
    order: tuple[int, ...] = ()

    @classmethod
    def rows(
        cls, name: str, source: Weight, parts: tuple[tuple[int, int], ...], form: Form = "as it is"
    ) -> "TensorView":
        """The rows [begin, end) of each of `parts`, in another form."""
        row = int(np.prod(source.shape[1:], dtype=np.int64))
        stored = (sum(end - begin for begin, end in parts), *source.shape[1:]) if source.shape else ()
        shape, order = _formed(stored, form)
        ranges = tuple((begin * row, end * row) for begin, end in parts)
        return cls(name, source, shape, ranges, stored, order)

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        pieces = [self.source.elements(begin, end, dtype) for begin, end in self.ranges]
        flat = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if self.order:
            flat = flat.reshape(self.stored).transpose(self.order)
        return flat.reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) in row-major order as `dtype`, flat."""
        if self.order:
            return np.ascontiguousarray(self.array(dtype)).reshape(-1)[begin:end]
        pieces, position = [], 0
        for first, last in self.ranges:
            low, high = max(begin - position, 0), min(end - position, last - first)
            if low < high:
                pieces.append(self.source.elements(first + low, first + high, dtype))
            position += last - first
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype)

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The elements in pieces of bounded size."""
        if self.order:
            yield self.elements(0, int(np.prod(self.shape)), dtype)
            return
        for first, last in self.ranges:
            for begin in range(first, last, CHUNK_ELEMENTS):
                yield self.source.elements(begin, min(begin + CHUNK_ELEMENTS, last), dtype)


def _formed(shape: tuple[int, ...], form: Form) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape that `form` makes of `shape`, and the order of axes that it takes if they change places."""
    if form == "matrix" and len(shape) > 2:
        return (shape[0], *([n for n in shape[1:] if n != 1] or [1])), ()
    if form == "transposed" and len(shape) == 2:
        return shape[::-1], (1, 0)
    if form == "kernel" and len(shape) == 4:
        return (shape[0], shape[3], shape[1], shape[2]), (0, 3, 1, 2)
    if form == "kernel" and len(shape) == 2:
        return (*shape, 1, 1), ()
    if form == "batch":
        return (1, *shape), ()
    return shape, ()


@dataclass(frozen=True)
class JoinedColumns:
    """Matrices (O, Iᵢ) side by side: (O, ΣIᵢ); implements `Weight`."""

    name: str
    parts: tuple[Weight, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(O, ΣIᵢ)."""
        return (self.parts[0].shape[0], sum(part.shape[1] for part in self.parts))

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        return self._rows(0, self.shape[0], dtype)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) in row-major order as `dtype`, flat."""
        width = self.shape[1]
        first, last = begin // width, -(-end // width)
        return self._rows(first, last, dtype).reshape(-1)[begin - first * width : end - first * width]

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The elements in pieces of bounded size."""
        rows = max(1, CHUNK_ELEMENTS // self.shape[1])
        for begin in range(0, self.shape[0], rows):
            yield self._rows(begin, begin + rows, dtype).reshape(-1)

    def _rows(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        end = min(end, self.shape[0])
        return np.concatenate(
            [
                part.elements(begin * part.shape[1], end * part.shape[1], dtype).reshape(end - begin, -1)
                for part in self.parts
            ],
            axis=1,
        )
