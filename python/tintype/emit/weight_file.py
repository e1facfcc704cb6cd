"""Writing `weight.bin`, byte for byte as coremltools does, but straight from the source's files.

File layout (little-endian), every block 64-byte aligned:

    0    u32 blobs, u32 version 2, 56 zero bytes
    64   blob: u32 0xDEADBEEF, u32 dtype, u64 bytes, u64 offset of the data, u64 padding bits, 32 zero
         bytes
         data, then zeros up to the next blob; nothing after the last one

A program refers to a blob by the offset of its metadata. Offsets are known before a byte is written, so
placing the weights (`WeightLayout`) and streaming them (`write`) are two steps.
"""

import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..weight import Weight
from .ahead import ahead
from .hashed_file import HashedFile

__all__ = ["Placement", "WeightLayout", "WrittenWeights"]

ALIGNMENT = 64
SENTINEL = 0xDEADBEEF
VERSION = 2
HEADER = struct.Struct("<II7Q")
METADATA = struct.Struct("<IIQQQ4Q")
#: Type of a blob → (its code in the file, bits of an element). Elements below 8 bits are packed.
KINDS: Mapping[str, tuple[int, int]] = {
    "float16": (1, 16), "float32": (2, 32), "uint8": (3, 8), "int8": (4, 8), "int4": (8, 4), "uint4": (11, 4),
    "uint6": (13, 6), "int32": (14, 32),
}  # fmt: skip


@dataclass(frozen=True)
class Placement:
    """A weight as `kind` (a key of KINDS), its metadata at `offset`."""

    weight: Weight
    kind: str
    offset: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """What NumPy sees of the data: packed elements are bytes."""
        return np.dtype(self.kind if KINDS[self.kind][1] >= 8 else "uint8")

    @property
    def bits(self) -> int:
        """Bits of data."""
        return int(np.prod(self.weight.shape, dtype=np.int64)) * KINDS[self.kind][1]

    @property
    def size(self) -> int:
        """Bytes of data."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class WrittenWeights:
    """What was written: bytes in the file, and their SHA-256."""

    size: int
    sha256: str


class WeightLayout:
    """The places of all weights in one weight.bin."""

    def __init__(self) -> None:
        self.placements: list[Placement] = []
        self._end = HEADER.size

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._end

    def add(self, weight: Weight, kind: str) -> int:
        """Place `weight` as `kind` (a key of KINDS) after the others; returns the offset that a program
        refers to it by."""
        placement = Placement(weight, kind, _aligned(self._end))
        self.placements.append(placement)
        self._end = placement.offset + METADATA.size + placement.size
        return placement.offset

    def write(self, path: Path, progress: Callable[[int], None] | None = None) -> WrittenWeights:
        """Write the file; `progress` hears the bytes written so far after every piece.

        Weights are converted on all cores, hashed and written to the disk at the same time. Memory stays at
        some pieces: sources are mapped. ConversionError when a value does not fit its dtype.
        """
        makers = (partial(p.weight.chunks, p.dtype) for p in self.placements)
        with HashedFile(path) as file, closing(ahead(makers)) as streams:
            file.write(HEADER.pack(len(self.placements), VERSION, *[0] * 7))
            for placement, pieces in zip(self.placements, streams, strict=True):
                file.write(bytes(placement.offset - file.size) + _metadata(placement))
                begin = file.size
                for piece in pieces:
                    file.write(np.ascontiguousarray(piece).view(np.uint8).data)
                    if progress is not None:
                        progress(file.size)
                if file.size != begin + placement.size:
                    raise ValueError(
                        f"{placement.weight.name} gave {file.size - begin} bytes, expected {placement.size}"
                    )
            return WrittenWeights(file.size, file.hexdigest())


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _metadata(placement: Placement) -> bytes:
    data = placement.offset + METADATA.size
    padding = 8 * placement.size - placement.bits
    return METADATA.pack(SENTINEL, KINDS[placement.kind][0], placement.size, data, padding, 0, 0, 0, 0)
