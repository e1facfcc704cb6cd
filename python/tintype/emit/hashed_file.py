"""A file that is written from its beginning, while its SHA-256 is computed and the disk keeps pace.

Linux writes it past the system's cache where it can (6.14 and later): the cache would take memory for all of
it, which costs more than the copying. Elsewhere the disk is told to write what it was given every now and
then: a system that is left alone collects gigabytes, and then slows down the program that writes until the
disk has caught up.
"""

import errno
import hashlib
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

__all__ = ["HashedFile"]

#: A flag of Linux's pwritev2 that Python has no name for: what was written leaves the cache.
RWF_DONTCACHE = 0x80

#: Pieces that may wait for the hash; bounds memory.
MAX_PENDING = 4

#: Bytes after which the disk is told to write what it was given.
FLUSH_BYTES = 128 << 20


class HashedFile:
    """A context manager; `size` is the number of bytes written so far."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._flags = RWF_DONTCACHE if sys.platform == "linux" else 0
        self._sha = hashlib.sha256()
        self._hasher, self._flusher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []
        self._flush: Future[None] | None = None
        self._flushed = 0

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._hasher.shutdown(cancel_futures=True)
        self._flusher.shutdown()
        os.close(self._handle)
        if kind is None and self._flush is not None:
            self._flush.result()  # the system reports what it could not write once

    def write(self, data: "bytes | memoryview") -> None:
        """Append bytes, which must stay as they are until the file is closed or its hash is asked for."""
        self._pending.append(self._hasher.submit(self._sha.update, data))
        self._append(memoryview(data))
        if self.size - self._flushed >= FLUSH_BYTES and (self._flush is None or self._flush.done()):
            self._start_flush()
        if len(self._pending) > MAX_PENDING:
            self._pending.pop(0).result()

    def hexdigest(self) -> str:
        """The SHA-256 of what was written."""
        while self._pending:
            self._pending.pop(0).result()
        return self._sha.hexdigest()

    def _append(self, data: memoryview) -> None:
        while data.nbytes:
            try:
                count = os.pwritev(self._handle, [data], self.size, self._flags)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP or not self._flags:
                    raise
                self._flags = 0  # an older kernel, or a file system without it
                continue
            self.size += count
            data = data[count:]

    def _start_flush(self) -> None:
        if self._flush is not None:
            self._flush.result()  # a disk that fails or is full says so here
        self._flushed = self.size
        # macOS has no fdatasync, and its fsync does not wait for the medium either.
        self._flush = self._flusher.submit(getattr(os, "fdatasync", os.fsync), self._handle)
