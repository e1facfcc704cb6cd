"""Iterators advanced by threads, consumed in order."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from threading import Barrier, Event, get_ident

import numpy as np
import pytest

from tintype.emit import ahead as module
from tintype.emit.ahead import ahead, one_ahead
from tintype.weight import Array


def counted(first: int, count: int) -> Iterator[Array]:
    for value in range(first, first + count):
        yield np.array([value])


def test_arrays_come_in_order_whatever_thread_is_faster() -> None:
    makers = [partial(counted, 100 * n, n % 4) for n in range(20)]
    got = [[int(array[0]) for array in arrays] for arrays in ahead(makers)]
    assert got == [[100 * n + i for i in range(n % 4)] for n in range(20)]


def test_iterators_run_at_the_same_time() -> None:
    together = Barrier(2, timeout=10)

    def meet() -> Iterator[Array]:
        together.wait()
        yield np.zeros(1)

    assert sum(1 for arrays in ahead([meet, meet]) for _ in arrays) == 2


def test_an_error_is_raised_where_its_array_would_be() -> None:
    def fail() -> Iterator[Array]:
        yield np.zeros(1)
        raise ValueError("damaged")

    streams = ahead([partial(counted, 0, 3), fail, partial(counted, 0, 3)])
    assert len(list(next(streams))) == 3
    second = next(streams)
    next(second)
    with pytest.raises(ValueError, match="damaged"):
        next(second)
    streams.close()


def test_a_thread_waits_where_it_is_too_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 3 * np.zeros(1).nbytes)
    made = []

    def many() -> Iterator[Array]:
        for value in range(50):
            made.append(value)
            yield np.zeros(1)

    streams = ahead([many])
    arrays = next(streams)
    for consumed in range(1, 51):
        next(arrays)
        # Three wait, and one is being handed over.
        assert len(made) <= consumed + 4
    assert len(made) == 50


def test_closing_ends_threads_that_wait() -> None:
    ended = Event()

    def endless() -> Iterator[Array]:
        try:
            while True:
                yield np.zeros(1 << 20)
        finally:
            ended.set()

    with closing(ahead([endless, endless])) as streams:
        next(next(streams))
    assert ended.is_set()


def test_one_item_is_made_while_the_one_before_is_used() -> None:
    begun = [Event() for _ in range(3)]
    threads = set()

    def items() -> Iterator[int]:
        for number, event in enumerate(begun):
            threads.add(get_ident())
            event.set()
            yield number

    got = one_ahead(items())
    assert next(got) == 0
    assert begun[1].wait(10)
    assert not begun[2].wait(0.05)
    assert list(got) == [1, 2]
    assert get_ident() not in threads


def test_an_error_is_raised_in_the_place_of_its_item() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("damaged")

    got = one_ahead(items())
    assert next(got) == 0
    with pytest.raises(ValueError, match="damaged"):
        next(got)


def test_who_leaves_early_waits_for_the_item_at_work_and_makes_no_more() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    with closing(one_ahead(items())) as got:
        next(got)
    assert made == [0, 1]
