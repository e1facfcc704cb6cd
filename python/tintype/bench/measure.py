"""Two pieces of work timed in turn, on a machine that others use too."""

import dataclasses
import os
import pathlib
import statistics
import time
from collections.abc import Callable

__all__ = ["Row", "compare", "other_processes", "seconds", "settle"]

Work = Callable[[], object]

ROUNDS = 9  # pairs of a piece of work and its limit
CALM, STEP, LONGEST = 0.1, 0.01, 2.0  # share of a processor that counts as none; seconds


@dataclasses.dataclass(frozen=True)
class Row:
    """One bar: medians of a rate and of its limit, of their ratio, and the ratio that it should reach."""

    name: str
    peer: str
    rate: float
    limit: float
    ratio: float
    unit: str
    bar: float

    @property
    def passes(self) -> bool:
        return self.ratio >= self.bar


def seconds(work: Work) -> float:
    """What one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def settle() -> None:
    """Wait until this process does nothing: OpenBLAS' and PyTorch's threads spin for 100 ms and more after
    their work, on processors that the next piece of work is to have."""
    end = time.perf_counter() + LONGEST
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(STEP)
        if time.process_time() - before < CALM * STEP:
            return


def compare(
    name: str,
    peer: str,
    unit: str,
    bar: float,
    work: tuple[Work, float],
    limit: tuple[Work, float],
    repeats: int,
) -> Row:
    """Two pieces of work, each with its float operations or bytes, in turn; the ratio is the median of the
    pairs' ratios. Of `repeats` calls in a row the fastest counts: what interrupts one is not the work's."""

    def best(function: Work) -> float:
        settle()
        return min(seconds(function) for _ in range(repeats))

    work[0]()
    limit[0]()
    pairs = [(best(work[0]), best(limit[0])) for _ in range(ROUNDS)]
    rates = [(work[1] / mine / 1e9, limit[1] / theirs / 1e9) for mine, theirs in pairs]
    rate, most = (statistics.median(column) for column in zip(*rates, strict=True))
    return Row(name, peer, rate, most, statistics.median(a / b for a, b in rates), unit, bar)


def other_processes() -> Callable[[], float | None]:
    """A function that says which share of all processors others have used since; None if unknown."""

    def busy() -> float | None:
        try:
            fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        except OSError:
            return None
        user, nice, system, _, _, interrupts, soft = (int(field) for field in fields[:7])
        return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")

    def own() -> float:
        return sum(os.times()[:4])

    before, mine, start = busy(), own(), time.perf_counter()

    def share() -> float | None:
        now = busy()
        if before is None or now is None:
            return None
        total = (time.perf_counter() - start) * (os.cpu_count() or 1)
        # Both clocks tick in hundredths of a second, which is more than all processors have in a short while.
        return min(1.0, max(0.0, (now - before - (own() - mine)) / total))

    return share
