"""What an ML Program would do on Apple's Neural Engine, forecast from its ops by published rules.

Nothing is run: the package's protobuf is read, every op is held to the rules (`rules`), its work is counted
(`flops`), and both are summed up (`report`). On a Mac, Core ML's own compute plan (`plan`) knows better.
"""

from .plan import ComputePlan, compute_plan, has_compute_plans
from .report import PackageReport, inspect_package
from .requirement import Requirement, hold_to, share_text

__all__ = [
    "ComputePlan",
    "PackageReport",
    "Requirement",
    "compute_plan",
    "has_compute_plans",
    "hold_to",
    "inspect_package",
    "share_text",
]
