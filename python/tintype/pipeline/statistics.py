"""What a run's predictions cost: time and bytes by stage and by op, and the peak of memory.

Collected from `Model.predict(statistics=True)`, which the engine answers op by op and Core ML with a
prediction's time alone.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

from .settings import STAGE_OF

__all__ = ["OpStatistics", "RunStatistics", "StageStatistics"]


@dataclass
class OpStatistics:
    """All calls of an op: seconds, and bytes that it wrote."""

    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0


@dataclass
class StageStatistics:
    """All predictions of a stage's models, on the backends that ran them.

    `ops` holds the op that took longest first. `peak_bytes` is the most that the values of one prediction
    took at a time, `weight_bytes` the weights of the stage's models. Both are None and `ops` is empty where a
    backend does not tell; `untold` names those backends.
    """

    backends: tuple[str, ...] = ()
    predictions: int = 0
    seconds: float = 0.0
    ops: Mapping[str, OpStatistics] = field(default_factory=dict)
    peak_bytes: int | None = None
    weight_bytes: int | None = None
    untold: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class RunStatistics:
    """Adds up what predictions report."""

    def __init__(self) -> None:
        self._stages: dict[str, StageStatistics] = {}
        self._weights: dict[str, dict[str, int]] = {}

    def add(self, component: str, path: str, backend: str, found: Mapping[str, Any] | None) -> None:
        """One prediction of the package at `path`; `found` is `Model.last_statistics`."""
        name = STAGE_OF[component]
        stage = self._stages.setdefault(name, StageStatistics())
        found = found or {}
        stage.backends = tuple(dict.fromkeys((*stage.backends, backend)))
        stage.predictions += 1
        stage.seconds += found.get("seconds", 0.0)
        if "ops" not in found:
            stage.untold = tuple(dict.fromkeys((*stage.untold, backend)))
            return
        ops = dict(stage.ops)
        for op, row in found["ops"].items():
            kept = ops.setdefault(op, OpStatistics())
            kept.calls += row["calls"]
            kept.seconds += row["seconds"]
            kept.bytes += row["bytes"]
        stage.ops = dict(sorted(ops.items(), key=lambda item: -item[1].seconds))
        stage.peak_bytes = max(stage.peak_bytes or 0, found["peak_allocated_bytes"])
        weights = self._weights.setdefault(name, {})
        weights[path] = found["weight_bytes"]
        stage.weight_bytes = sum(weights.values())

    def stages(self) -> dict[str, StageStatistics]:
        """By stage, in the order of the first predictions; later predictions do not change it."""
        return deepcopy(self._stages)
