"""SHA-256 of the source's files, computed in the background while packages are written."""

import mmap
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

from .hashing import HashStream

__all__ = ["SourceHashes"]

#: Bytes between two looks whether to stop.
PIECE_BYTES = 64 << 20


class SourceHashes:
    """A context manager; leaving it early stops the work."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._stop = Event()
        self._hashes: dict[str, Future[str]] = {}

    def __enter__(self) -> "SourceHashes":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def start(self, files: Mapping[str, Path]) -> None:
        """Hash those of `files` (by their name in the source) that are new."""
        for name, path in files.items():
            if name not in self._hashes:
                self._hashes[name] = self._pool.submit(self._sha256, path)

    def result(self) -> dict[str, str]:
        """Name → hex digest of all files, sorted by name; waits for the last one."""
        return {name: self._hashes[name].result() for name in sorted(self._hashes)}

    def _sha256(self, path: Path) -> str:
        stream = HashStream()
        if path.stat().st_size == 0:  # nothing that could be mapped
            return stream.hexdigest()
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            data.madvise(mmap.MADV_SEQUENTIAL)
            with memoryview(data) as view:
                self._hash(view, stream, file.fileno())
        return stream.hexdigest()

    def _hash(self, data: memoryview, stream: HashStream, file: int) -> None:
        before: Future[None] | None = None
        for begin in range(0, len(data), PIECE_BYTES):
            if self._stop.is_set():
                break
            _read_ahead(file, begin + PIECE_BYTES)
            piece = stream.update(data[begin : begin + PIECE_BYTES])
            if before is not None:
                before.result()
            before = piece
        if before is not None:
            before.result()


def _read_ahead(file: int, begin: int) -> None:
    """Have the disk read the next piece of a file that is in no cache: of a mapped file, the system reads
    little more than what is asked for."""
    if hasattr(os, "posix_fadvise"):  # macOS has none
        os.posix_fadvise(file, begin, PIECE_BYTES, os.POSIX_FADV_WILLNEED)
