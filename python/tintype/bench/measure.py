"""Two pieces of work timed in turn, on a machine that others use too."""

import dataclasses
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Report", "Row", "compare", "describe_others", "in_turn", "other_processes", "seconds", "settle"]

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

    @classmethod
    def of_times(
        cls, name: str, peer: str, unit: str, bar: float, pairs: Sequence[tuple[float, float]]
    ) -> "Row":
        """Of times, the peer's second, as they are: the ratio says how many times faster than the peer."""
        mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        return cls(name, peer, mine, theirs, statistics.median(b / a for a, b in pairs), unit, bar)


@dataclasses.dataclass(frozen=True)
class Report:
    """All rows of a run."""

    rows: list[Row]
    note: str = ""

    def text(self) -> str:
        """The report as Markdown."""
        lines = ["| case | against | measured | limit | ratio | bar | met |", "|---|---|---|---|---|---|---|"]
        for r in self.rows:
            measured = f"{r.rate:.1f} {r.unit} | {r.limit:.1f} {r.unit}"
            verdict = "yes" if r.passes else "NO"
            lines.append(f"| {r.name} | {r.peer} | {measured} | {r.ratio:.2f} | {r.bar:.2f} | {verdict} |")
        return "\n".join([*lines, *(["", self.note] if self.note else [])])

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as plain values."""
        return [dataclasses.asdict(r) | {"passes": r.passes} for r in self.rows]


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


def in_turn(work: Work, peer: Work, rounds: int, repeats: int = 1) -> list[tuple[float, float]]:
    """Seconds of both, each run once the process is still. Of `repeats` calls in a row the fastest counts:
    what interrupts one is not the work's."""

    def best(function: Work) -> float:
        settle()
        return min(seconds(function) for _ in range(repeats))

    return [(best(work), best(peer)) for _ in range(rounds)]


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
    pairs' ratios."""
    work[0]()
    limit[0]()
    pairs = in_turn(work[0], limit[0], ROUNDS, repeats)
    rates = [(work[1] / mine / 1e9, limit[1] / theirs / 1e9) for mine, theirs in pairs]
    rate, most = (statistics.median(column) for column in zip(*rates, strict=True))
    return Row(name, peer, rate, most, statistics.median(a / b for a, b in rates), unit, bar)


def describe_others(share: float | None) -> str:
    """What `other_processes` found, as a sentence; empty if it is unknown."""
    return "" if share is None else f"Other processes used {share:.0%} of the processors meanwhile."


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
