"""Signals that end a command in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ended_by_signals"]


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM, and the SIGHUP of a terminal that closes, end the block as Ctrl-C does, so that it cleans up.
    What the caller ignores (nohup) stays ignored. Only the main thread hears signals: others do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None: a handler that is not Python's, which could not be put back.
    numbers = [
        n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) not in (signal.SIG_IGN, None)
    ]

    def interrupt(number: int, frame: object) -> None:
        for each in numbers:  # a shell and its terminal both send one: the second would end the cleaning up
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
