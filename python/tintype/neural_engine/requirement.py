"""A bar for the Neural Engine: the share of every package that has to be there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .plan import ComputePlan, compute_plan, has_compute_plans
from .report import PackageReport, inspect_package

__all__ = ["Requirement", "hold_to", "share_text"]

#: Costs that should add up to 1 may miss it by this.
ROUNDING = 1e-6


def share_text(share: float) -> str:
    """A percentage that says 100 only where nothing is left out."""
    if share == 1:
        return "100 %"
    return f"{min(100 * share, 99.9999):.4f} %"


@dataclass(frozen=True)
class Requirement:
    """What every package is required to have on the Neural Engine, and what each has, 0 … 1.

    `of` says where the shares come from: "compute_plan" (Core ML's estimated cost on this Mac), or
    "forecast" (FLOPs in ops that break no published rule).
    """

    required: float
    of: str
    shares: Mapping[str, float]

    @classmethod
    def of_reports(
        cls, required: float, reports: Mapping[str, PackageReport], plans: Mapping[str, ComputePlan]
    ) -> "Requirement":
        """By the plans where there are any."""
        if plans:
            return cls(required, "compute_plan", {name: plan.share() for name, plan in plans.items()})
        return cls(required, "forecast", {name: report.share for name, report in reports.items()})

    @property
    def below(self) -> dict[str, float]:
        """The packages that do not reach it."""
        least = self.required - (ROUNDING if self.of == "compute_plan" else 0)
        return {name: share for name, share in self.shares.items() if share < least}

    @property
    def complaint(self) -> str:
        """What is missing where; empty if nothing is."""
        rows = ", ".join(f"{name} {share_text(share)}" for name, share in self.below.items())
        source = "Core ML's compute plan" if self.of == "compute_plan" else "forecast"
        return (
            rows and f"on the Neural Engine ({source}): {rows}, expected at least {100 * self.required:g} %"
        )

    def to_json(self) -> dict[str, Any]:
        """Required share, its source, every package's share, and whether all reach it."""
        return {
            "share": self.required,
            "of": self.of,
            "shares": dict(self.shares),
            "below": list(self.below),
            "passed": not self.below,
        }


def hold_to(required: float, packages: Mapping[str, Path]) -> Requirement:
    """The packages by Core ML's plan where it is Apple's, else by the forecast."""
    if has_compute_plans():
        return Requirement.of_reports(required, {}, {n: compute_plan(p) for n, p in packages.items()})
    return Requirement.of_reports(required, {n: inspect_package(p) for n, p in packages.items()}, {})
