"""Core ML's compute plan: where the system means to run each op, asked of it through the Swift runtime.

Apple's Core ML (macOS 14.4) decides before anything runs; the portable one of Linux puts every op on the CPU,
so that only the way to the answer is the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..names import COREML
from ..run.runtimes import INSTALLED, Runtimes, check_units

__all__ = ["ComputePlan", "compute_plan", "has_compute_plans"]

NEURAL_ENGINE = "neural_engine"


@dataclass(frozen=True)
class ComputePlan:
    """One function's plan.

    `devices` ("cpu", "gpu", "neural_engine") holds each device's operations and its share of the estimated
    cost (0 to 1; None where Core ML has no estimates). `elsewhere` lists the operations off the device that
    takes most.
    """

    implementation: str
    units: str
    function: str
    devices: Mapping[str, Mapping[str, Any]]
    elsewhere: tuple[Mapping[str, Any], ...]

    def share(self, device: str = NEURAL_ENGINE) -> float:
        """The device's part: of the estimated cost where there is one, else of the operations."""
        own = self.devices.get(device, {})
        if any(row.get("cost") is not None for row in self.devices.values()):
            return float(own.get("cost") or 0.0)
        total = sum(row["operations"] for row in self.devices.values())
        return float(own.get("operations", 0) / total) if total else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "implementation": self.implementation,
            "units": self.units,
            "function": self.function,
            "devices": {name: dict(row) for name, row in self.devices.items()},
            "elsewhere": [dict(row) for row in self.elsewhere],
        }


def has_compute_plans(runtimes: Runtimes = INSTALLED) -> bool:
    """Whether Apple's Core ML is here to be asked."""
    return runtimes.info(COREML).is_apples


def compute_plan(path: Path, units: str = "ane", runtimes: Runtimes = INSTALLED) -> ComputePlan:
    """The plan of the package at `path`, which is compiled for it if it has not been.

    BackendUnavailable where there is no Core ML; UnsupportedModelError on systems without plans.
    """
    value = json.loads(runtimes.open(COREML).compute_plan(path, check_units(units)))
    return ComputePlan(
        implementation=value["implementation"],
        units=value["units"],
        function=value["function"],
        devices=value["devices"],
        elsewhere=tuple(value["elsewhere"]),
    )
