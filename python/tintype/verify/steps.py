"""The progress of a measurement, in steps."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..emit import Progress

__all__ = ["Steps"]


class Steps:
    """Tells `progress` of `what`, with the steps done and the `total`: of none at once, then of each that is
    `done`."""

    def __init__(self, progress: "Progress | None", total: int, what: str = "measuring") -> None:
        self._progress, self._total, self._what, self._count = progress, total, what, 0
        self._tell()

    def done(self) -> None:
        """One more."""
        self._count += 1
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._what, self._count, self._total)
