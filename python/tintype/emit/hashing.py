"""SHA-256 of streams of bytes, computed by threads of the process.

The processor's instructions for it wait for each other, and in between a core has time for another stream:
two take 1.5 times as long as one. A machine of few cores hashes two streams on one of them, so that the
others are free; one of many has a thread for each.
"""

import hashlib
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from .. import _bridge

__all__ = ["HashStream"]

CORES = os.cpu_count() or 1

#: Whether a thread hashes two streams at once.
PAIRED = CORES <= 2 and hasattr(_bridge, "Sha256")
THREADS = 1 if PAIRED else CORES

#: Bytes that a thread hashes before it looks for another stream, alone and of each of two.
ALONE_BYTES, PAIR_BYTES = 2 << 20, 16 << 20


class HashStream:
    """The SHA-256 of bytes that are given piece by piece."""

    def __init__(self) -> None:
        self.hash: Any = _bridge.Sha256() if PAIRED else hashlib.sha256()
        self.waiting: deque[tuple[memoryview, Future[None]]] = deque()
        self._last: Future[None] | None = None

    def update(self, data: memoryview) -> "Future[None]":
        """Append bytes, which must stay as they are until what is returned is done."""
        done = self._last = Future[None]()
        _threads.add(self, data, done)
        return done

    def hexdigest(self) -> str:
        """The hash of all bytes; waits for it."""
        if self._last is not None:
            self._last.result()
        return str(self.hash.hexdigest())


class _Threads:
    """They take turns with the streams that have bytes waiting."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(THREADS)
        self._streams: deque[HashStream] = deque()  # those that no thread is at
        self._busy = 0

    def add(self, stream: HashStream, data: memoryview, done: "Future[None]") -> None:
        """Append bytes to those that wait."""
        with self._lock:
            stream.waiting.append((data, done))
            if len(stream.waiting) == 1:
                self._streams.append(stream)
                self._start()

    def _start(self) -> None:
        """Have one more thread work, if there is work for it."""
        if self._streams and self._busy < THREADS:
            self._busy += 1
            self._pool.submit(self._work)

    def _work(self) -> None:
        while streams := self._next():
            limit = ALONE_BYTES if len(streams) == 1 else PAIR_BYTES
            count = min(limit, *(stream.waiting[0][0].nbytes for stream in streams))
            _hash(streams, count)
            for stream in streams:
                self._advance(stream, count)

    def _next(self) -> list[HashStream]:
        with self._lock:
            taken = [self._streams.popleft() for _ in range(min(len(self._streams), 2 if PAIRED else 1))]
            self._busy -= not taken
            return taken

    def _advance(self, stream: HashStream, count: int) -> None:
        data, done = stream.waiting[0]
        whole = count == data.nbytes
        with self._lock:
            if whole:
                stream.waiting.popleft()
            else:
                stream.waiting[0] = data[count:], done
            if stream.waiting:
                self._streams.append(stream)
        del data  # whoever waits may close the file that it is mapped from
        if whole:
            done.set_result(None)


def _hash(streams: Sequence[HashStream], count: int) -> None:
    """Hash the next `count` bytes of one stream or of two."""
    pieces = [stream.waiting[0][0][:count] for stream in streams]
    if len(streams) == 1:
        streams[0].hash.update(pieces[0])
    else:
        _bridge.Sha256.update_both(streams[0].hash, pieces[0], streams[1].hash, pieces[1])


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.__init__)  # type: ignore[misc]
