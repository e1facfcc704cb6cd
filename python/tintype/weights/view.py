"""A tensor made of pieces of stored ones, read lazily: slices and joins of rows, other shapes, transposes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..weight import Array, FileSpan
from .safetensors import CHUNK_ELEMENTS, StoredWeight

__all__ = ["TensorView"]


@dataclass(frozen=True)
class TensorView:
    """The elements [begin, end) of `source` in each of `ranges`, one after another; implements `Weight`.

    `name` is the key that models use. With `transposed` the two axes of the result are exchanged, which needs
    the tensor in memory.
    """

    name: str
    source: StoredWeight
    shape: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    transposed: bool = False

    @classmethod
    def rows(
        cls,
        name: str,
        source: StoredWeight,
        parts: tuple[tuple[int, int], ...],
        *,
        squeeze: bool = False,
        transposed: bool = False,
    ) -> "TensorView":
        """The rows [begin, end) of each of `parts`; `squeeze` drops a kernel's trailing axes of length 1."""
        row = int(np.prod(source.shape[1:], dtype=np.int64))
        shape = (sum(end - begin for begin, end in parts), *source.shape[1:]) if source.shape else ()
        while squeeze and len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        if transposed:
            shape = shape[::-1]
        return cls(name, source, shape, tuple((begin * row, end * row) for begin, end in parts), transposed)

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        pieces = [self.source.elements(begin, end, dtype) for begin, end in self.ranges]
        flat = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return flat.reshape(self.shape[::-1]).T if self.transposed else flat.reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) in row-major order as `dtype`, flat."""
        if self.transposed:
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
        if self.transposed:
            yield self.elements(0, int(np.prod(self.shape)), dtype)
            return
        for first, last in self.ranges:
            for begin in range(first, last, CHUNK_ELEMENTS):
                yield self.source.elements(begin, min(begin + CHUNK_ELEMENTS, last), dtype)

    def span(self, dtype: npt.DTypeLike) -> FileSpan | None:
        """Where the bytes lie, if they are one stretch of the file in `dtype`."""
        whole = self.source.span(dtype)
        if whole is None or len(self.ranges) != 1 or self.transposed:
            return None
        begin, end = self.ranges[0]
        size = np.dtype(dtype).itemsize
        return FileSpan(whole.path, whole.offset + begin * size, (end - begin) * size)
