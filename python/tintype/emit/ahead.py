"""Computing ahead: iterators that are consumed one after another, each advanced by a thread of its own.

    consumer   1 1 1 | 2 2 | 3 3 3 3
    threads    1 1 1   4 4 4 …             each stops where what it made waits to be consumed
               2 2       5 …
               3 3 3 3

NumPy lets go of Python's lock where it converts, so that threads keep all cores busy. The order is that of
the iterators, whatever thread is faster.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Condition
from typing import TypeVar

from ..weight import Array

__all__ = ["ahead", "one_ahead", "sharing_the_interpreter"]

T = TypeVar("T")

#: Bytes that one iterator may be ahead; of a single array if it is larger.
WAITING_BYTES = 16 << 20

#: Seconds for which a thread keeps Python's lock while others wait for it.
SWITCH_SECONDS = 0.0005


def ahead(makers: Iterable[Callable[[], Iterable[Array]]]) -> Generator[Iterator[Array], None, None]:
    """For each of `makers`, in order, the arrays of its iterator; it must be exhausted before the next one.

    Two more iterators than cores are under way, which bounds memory. What an iterator raises is raised where
    its array would be. Closing the generator stops the threads.
    """
    threads = (os.cpu_count() or 1) + 2
    pending: deque[_Stream] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for maker in makers:
                stream = _Stream()
                pool.submit(stream.fill, maker)
                pending.append(stream)
                if len(pending) == threads:
                    yield iter(pending[0])
                    pending.popleft()
            while pending:
                yield iter(pending[0])
                pending.popleft()
        finally:
            for stream in pending:
                stream.stop()


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """`items`, each made by a thread while the one before it is used; what making one raises is raised in its
    place.

    Whoever leaves early waits until the thread has made the item that it is at.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_listed, items)
        while found := coming.result():
            coming = pool.submit(_listed, items)
            yield from found


@contextmanager
def sharing_the_interpreter() -> Iterator[None]:
    """Threads that build graphs let others have Python's lock after 0.5 ms, not 5: those that read, hash and
    write ask for it after each piece, and would stand still most of the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _listed(items: Iterator[T]) -> list[T]:
    """The next item; nothing after the last one."""
    return list(islice(items, 1))


class _Stream:
    """Arrays on their way from a thread to the consumer."""

    def __init__(self) -> None:
        self._change = Condition()
        self._arrays: deque[Array] = deque()
        self._waiting = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def fill(self, maker: Callable[[], Iterable[Array]]) -> None:
        """Make the arrays, in a thread; waits while the consumer is far behind."""
        try:
            if not self._stopped:
                for array in maker():
                    if not self._put(array):
                        break
        except BaseException as error:  # also KeyboardInterrupt: the consumer is who ends the work
            self._error = error
        with self._change:
            self._ended = True
            self._change.notify_all()

    def stop(self) -> None:
        """Nobody wants the rest."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def __iter__(self) -> Iterator[Array]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._arrays or self._ended)
                if not self._arrays:
                    break
                array = self._arrays.popleft()
                self._waiting -= array.nbytes
                self._change.notify_all()
            yield array
        if self._error is not None:
            raise self._error

    def _put(self, array: Array) -> bool:
        with self._change:
            self._change.wait_for(
                lambda: self._stopped or not self._arrays or self._waiting + array.nbytes <= WAITING_BYTES
            )
            self._arrays.append(array)
            self._waiting += array.nbytes
            self._change.notify_all()
            return not self._stopped
