"""Core ML loads that may take too long: its compiler takes no orders, so they are only left behind."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ..errors import UsageError

__all__ = ["TIME_BOX", "check_time_box", "started"]

T = TypeVar("T")

#: Seconds that "auto" gives Core ML to compile and load a package.
TIME_BOX = 300.0


def check_time_box(seconds: Any) -> float | None:
    """`seconds` if it is a time to wait, or None for no limit; UsageError otherwise."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is None or (number and seconds > 0):
        # Threads cannot wait longer than that, which is centuries.
        return None if seconds is None or seconds > threading.TIMEOUT_MAX else float(seconds)
    raise UsageError(f"time_box is {seconds!r}, expected a positive number of seconds, or None for no limit")


def started(work: Callable[[], T]) -> "Future[T]":
    """`work` on a thread of its own, which keeps no process from ending: the caller may wait, and be
    interrupted, and go."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="tintype-load", daemon=True).start()
    return future
