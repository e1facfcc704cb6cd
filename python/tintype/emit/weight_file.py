"""Writing `weight.bin`, byte for byte as coremltools does, but straight from the source's files.

File layout (little-endian), every block 64-byte aligned:

    0    u32 blobs, u32 version 2, 56 zero bytes
    64   blob: u32 0xDEADBEEF, u32 dtype, u64 bytes, u64 offset of the data, u64 padding bits, 32 zero
         bytes
         data, then zeros up to the next blob; nothing after the last one

A program refers to a blob by the offset of its metadata. Offsets are known before a byte is written, so
placing the weights (`WeightLayout`) and streaming them (`write`) are two steps.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..weight import Array, FileSpan, Weight
from .ahead import ahead

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

#: Pieces that may wait for the hash; bounds memory.
MAX_PENDING = 4

#: Bytes after which the disk is told to write what it was given.
FLUSH_BYTES = 128 << 20


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
        some pieces: sources are mapped, and where their bytes are right already the kernel copies them.
        ConversionError when a value does not fit its dtype.
        """
        makers = (partial(p.weight.chunks, p.dtype) for p in self.placements)
        with (
            path.open("wb", buffering=0) as file,
            _Flusher(file) as flusher,
            _Hasher() as hasher,
            closing(ahead(makers)) as streams,
        ):
            self._put(file, hasher, HEADER.pack(len(self.placements), VERSION, *[0] * 7))
            position = HEADER.size
            for placement, pieces in zip(self.placements, streams, strict=True):
                self._put(file, hasher, bytes(placement.offset - position) + _metadata(placement))
                position = placement.offset + METADATA.size
                for done in self._stream(file, hasher, placement, pieces):
                    flusher.written(position + done)
                    if progress is not None:
                        progress(position + done)
                position += placement.size
            return WrittenWeights(position, hasher.hexdigest())

    @staticmethod
    def _put(file: BinaryIO, hasher: "_Hasher", data: bytes) -> None:
        _write_all(file, memoryview(data))
        hasher.update(data)

    @staticmethod
    def _stream(
        file: BinaryIO, hasher: "_Hasher", placement: Placement, pieces: Iterable[Array]
    ) -> Iterator[int]:
        span, done = placement.weight.span(placement.dtype), 0
        copied = span is not None and span.size == placement.size and _copy_span(file, span)
        for piece in pieces:
            data = np.ascontiguousarray(piece).view(np.uint8).data
            if not copied:
                _write_all(file, data)
            hasher.update(data)
            done += data.nbytes
            yield done
        if done != placement.size:
            raise ValueError(f"{placement.weight.name} gave {done} bytes, expected {placement.size}")


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _metadata(placement: Placement) -> bytes:
    data = placement.offset + METADATA.size
    padding = 8 * placement.size - placement.bits
    return METADATA.pack(SENTINEL, KINDS[placement.kind][0], placement.size, data, padding, 0, 0, 0, 0)


def _write_all(file: BinaryIO, data: memoryview) -> None:
    while data.nbytes:
        data = data[os.write(file.fileno(), data) :]


def _copy_span(file: BinaryIO, span: FileSpan) -> bool:
    """Let the kernel copy `span` to the end of `file`; False, with nothing written, where it cannot."""
    if not hasattr(os, "copy_file_range"):
        return False
    with span.path.open("rb", buffering=0) as source:
        offset, left, start = span.offset, span.size, os.lseek(file.fileno(), 0, os.SEEK_CUR)
        while left:
            try:
                count = os.copy_file_range(source.fileno(), file.fileno(), left, offset_src=offset)
            except OSError:
                count = 0
            if count == 0:  # another file system or an old kernel: start again by plain writes
                os.lseek(file.fileno(), start, os.SEEK_SET)
                return False
            offset, left = offset + count, left - count
    return True


class _Flusher:
    """Has a file written to the disk while it grows, in a thread.

    A system that is left alone collects gigabytes, and then slows down the program that writes until the
    disk has caught up.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pool = ThreadPoolExecutor(1)
        self._flush: Future[None] | None = None
        self._begun = 0

    def __enter__(self) -> "_Flusher":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown()
        if kind is None and self._flush is not None:
            self._flush.result()  # the system reports what it could not write once

    def written(self, size: int) -> None:
        """The file has `size` bytes now."""
        if size - self._begun < FLUSH_BYTES or not (self._flush is None or self._flush.done()):
            return
        if self._flush is not None:
            self._flush.result()  # a disk that fails or is full says so here
        self._begun = size
        # macOS has no fdatasync, and its fsync does not wait for the medium either.
        self._flush = self._pool.submit(getattr(os, "fdatasync", os.fsync), self._file.fileno())


class _Hasher:
    """SHA-256 in a thread of its own, so that hashing and copying overlap."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []

    def __enter__(self) -> "_Hasher":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def update(self, data: "bytes | memoryview") -> None:
        self._pending.append(self._pool.submit(self._sha.update, data))
        if len(self._pending) > MAX_PENDING:
            self._pending.pop(0).result()

    def hexdigest(self) -> str:
        while self._pending:
            self._pending.pop(0).result()
        return self._sha.hexdigest()
