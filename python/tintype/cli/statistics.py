"""What predictions cost, as text: by kind of op, and by stage of a run."""

import resource
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..values import bytes_text
from .output import table

if TYPE_CHECKING:
    from ..pipeline import StageStatistics

__all__ = ["prediction_text", "process_peak", "run_text", "stats_option"]

stats_option = click.option(
    "--stats",
    is_flag=True,
    help="Print time and bytes by kind of op, and the peak of memory. It takes longer.",
)

NUMBERS = ("calls", "ms", "bytes")


def prediction_text(statistics: Mapping[str, Any] | None) -> str:
    """`Model.last_statistics`: the op that took longest first."""
    if not statistics:
        return "the backend collects no statistics"
    total = f"{statistics['seconds'] * 1e3:.2f} ms"
    if "ops" not in statistics:
        return f"{total}; Core ML does not tell the ops' shares, nor the memory"
    rows = [
        (name, str(row["calls"]), f"{row['seconds'] * 1e3:.2f}", bytes_text(row["bytes"]))
        for name, row in sorted(statistics["ops"].items(), key=lambda item: -item[1]["seconds"])
    ]
    peaks = (("live values", "peak_live_bytes"), ("allocated", "peak_allocated_bytes"))
    text = ", ".join(f"{name} {bytes_text(statistics[key])}" for name, key in peaks if key in statistics)
    return f"{table(('op', *NUMBERS), rows, right=NUMBERS)}\n{total}; peak of {text}"


def process_peak() -> int:
    """Bytes that this process had in memory at most, files that it mapped included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kilobytes


def run_text(stages: Mapping[str, "StageStatistics"]) -> str:
    """A run's stages, and the ops of each, the longest first."""
    rows = []
    for name, stage in stages.items():
        memory = [
            "-" if value is None else bytes_text(value) for value in (stage.peak_bytes, stage.weight_bytes)
        ]
        rows.append(
            (name, "+".join(stage.backends), str(stage.predictions), f"{stage.seconds * 1e3:.2f}", *memory)
        )
    right = ("predictions", "ms", "peak", "weights")
    parts = [table(("stage", "backend", *right), rows, right=right)]
    ops = [
        (name if index == 0 else "", op, str(row.calls), f"{row.seconds * 1e3:.2f}", bytes_text(row.bytes))
        for name, stage in stages.items()
        for index, (op, row) in enumerate(stage.ops.items())
    ]
    if ops:
        parts.append(table(("stage", "op", *NUMBERS), ops, right=NUMBERS))
    parts.append(f"peak of the process: {bytes_text(process_peak())}")
    for backend in dict.fromkeys(b for stage in stages.values() for b in stage.untold):
        parts.append(f"{backend} tells a prediction's time alone: no ops, no memory")
    return "\n\n".join(parts)
