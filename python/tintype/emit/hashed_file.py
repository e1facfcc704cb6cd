"""A file that is written from its beginning, while its SHA-256 is computed.

Bytes are gathered in blocks of memory, which threads hash and write. Linux writes them past the system's
cache where the file system can (O_DIRECT): to copy them there costs half as much as to hash them. Elsewhere
the disk is told to write what it was given every now and then: a system that is left alone collects
gigabytes, and then slows down the program that writes until the disk has caught up.
"""

import errno
import fcntl
import mmap
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..weight import Array
from .hashing import HashStream

__all__ = ["HashedFile"]

#: Blocks of memory, and bytes of one: what disks take at once, and a multiple of any sector.
BLOCKS, BLOCK_BYTES = 5, 4 << 20

#: What is written past the cache begins and ends at multiples of it.
SECTOR_BYTES = 4096

#: Blocks that are written at the same time.
WRITERS = 2

#: Bytes after which the disk is told to write what it was given.
FLUSH_BYTES = 128 << 20

#: macOS has neither: its fsync does not wait for the medium either.
DIRECT = getattr(os, "O_DIRECT", 0)
fdatasync = getattr(os, "fdatasync", os.fsync)


class HashedFile:
    """A context manager; `size` is the number of bytes written so far."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._handle, self._direct = _opened(path)
        self._hash = HashStream()
        self._writers, self._flusher = ThreadPoolExecutor(WRITERS), ThreadPoolExecutor(1)
        memory = mmap.mmap(-1, BLOCKS * BLOCK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._free = list(np.frombuffer(memory, np.uint8).reshape(BLOCKS, BLOCK_BYTES))
        self._block, self._filled = self._free.pop(), 0
        self._pending: deque[tuple[Array, Future[None], Future[None]]] = deque()
        self._flush: Future[None] | None = None
        self._flushed = 0

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for pool in (self._writers, self._flusher):
                pool.shutdown(cancel_futures=True)
            os.close(self._handle)

    def write(self, data: "bytes | memoryview") -> None:
        """Append bytes."""
        values = np.frombuffer(data, np.uint8)
        while values.size:
            part = values[: BLOCK_BYTES - self._filled]
            np.copyto(self._block[self._filled : self._filled + part.size], part)
            self._filled += part.size
            self.size += part.size
            values = values[part.size :]
            if self._filled == BLOCK_BYTES:
                self._submit()

    def hexdigest(self) -> str:
        """The SHA-256 of all bytes; nothing can be appended after it."""
        self._finish()
        return self._hash.hexdigest()

    def _submit(self) -> None:
        """Have the block hashed and written, and take another one."""
        block, count = self._block, self._filled
        whole = -(-count // SECTOR_BYTES) * SECTOR_BYTES
        block[count:whole] = 0
        hashed = self._hash.update(block[:count].data)
        written = self._writers.submit(self._put, block[:whole].data, self.size - count)
        self._pending.append((block, hashed, written))
        if not self._free:
            self._retire()
        self._block, self._filled = self._free.pop(), 0
        if not self._direct and self.size - self._flushed >= FLUSH_BYTES:
            self._start_flush()

    def _retire(self) -> None:
        """Wait for the oldest block; a disk that fails or is full says so here."""
        block, hashed, written = self._pending.popleft()
        written.result()
        hashed.result()
        self._free.append(block)

    def _finish(self) -> None:
        if self._filled:
            self._submit()
        while self._pending:
            self._retire()
        os.ftruncate(self._handle, self.size)
        if self._flush is not None:
            self._flush.result()  # the system reports what it could not write once

    def _put(self, data: memoryview, offset: int) -> None:
        direct = self._direct
        while data.nbytes:
            try:
                count = os.pwrite(self._handle, data, offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not direct:
                    raise
                # Larger sectors, or a file system that only opens such files.
                fcntl.fcntl(self._handle, fcntl.F_SETFL, 0)
                direct = self._direct = False
                continue
            offset += count
            data = data[count:]

    def _start_flush(self) -> None:
        if self._flush is not None and not self._flush.done():
            return
        if self._flush is not None:
            self._flush.result()
        self._flushed = self.size
        self._flush = self._flusher.submit(fdatasync, self._handle)


def _opened(path: Path) -> tuple[int, bool]:
    """The new file, and whether it is written past the cache."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        return os.open(path, flags | DIRECT, 0o666), DIRECT != 0
    except OSError as error:
        if error.errno != errno.EINVAL or not DIRECT:
            raise
    return os.open(path, flags, 0o666), False
