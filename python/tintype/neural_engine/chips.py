"""Apple's published rates of the Neural Engines, and the time below which no model can run by them.

Trillions of operations a second and the memory's bandwidth are Apple's figures from the chips' announcements.
Apple counts int8 operations from the A17 Pro and the M4 on; float16 runs at half of that.
"""

from dataclasses import dataclass

__all__ = ["CHIPS", "Chip", "seconds"]


@dataclass(frozen=True)
class Chip:
    """A chip: float16 operations a second, and bytes a second from memory."""

    name: str
    operations: float
    bandwidth: float


CHIPS = (
    Chip("A17 Pro", 17.5e12, 51.2e9),
    Chip("M1", 11e12, 68.25e9),
    Chip("M2", 15.8e12, 100e9),
    Chip("M3", 18e12, 100e9),
    Chip("M4", 19e12, 120e9),
)


def seconds(chip: Chip, flops: int, weight_bytes: int) -> float:
    """The roofline: the longer of computing at the peak rate and reading the weights once."""
    return max(flops / chip.operations, weight_bytes / chip.bandwidth)
