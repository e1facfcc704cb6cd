"""SHA-256 of the source's files, computed in the background while packages are written."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

__all__ = ["SourceHashes"]

#: Fits the cache, where hashing then finds it.
READ_BYTES = 1 << 20


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
        digest, buffer = hashlib.sha256(), memoryview(bytearray(READ_BYTES))
        with path.open("rb", buffering=0) as file:
            while not self._stop.is_set() and (count := file.readinto(buffer)):
                digest.update(buffer[:count])
        return digest.hexdigest()
