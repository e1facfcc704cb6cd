"""On which models Core ML failed on this machine, so that "auto" does not wait for the same failure again.

What is kept is shared with the Swift package: one small JSON file a verdict beside the compiled models, and
an empty file a passed self-test. The runtime names the files, since it knows the system's build and the chip;
where it cannot, or the folder cannot be written, this process alone remembers.
"""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import names
from ..errors import BackendUnavailable, EngineError, OutOfMemoryError
from ..files import atomic_write

if TYPE_CHECKING:
    from .runtimes import Runtimes

__all__ = ["Verdict", "Verdicts"]

Key = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """Why Core ML did not run `package`; where an earlier process found out, when, and where that is kept."""

    package: Path
    reason: str
    date: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        text = f"Core ML could not run {self.package.name} ({self.reason})"
        return text if self.file is None else f"{text} on {self.date}; to try again, remove {self.file}"


class Verdicts:
    """What is known of packages under compute units (their short names)."""

    def __init__(self, runtimes: "Runtimes") -> None:
        self._runtimes = runtimes
        self._failed: dict[Key, Verdict] = {}
        self._passed: set[Key] = set()

    def find(self, package: Path, units: str) -> Verdict | None:
        """None: Core ML may be tried."""
        if known := self._failed.get(_key(package, units)):
            return known
        file = self._file(package, units)
        try:
            row = json.loads(file.read_bytes()) if file is not None else None
            return Verdict(package, str(row["reason"]), str(row["date"]), file) if row else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none, or damaged: Core ML is asked again

    def remember(self, error: Exception, package: Path, units: str) -> None:
        """Keep a failure. Lack of memory, and of Core ML itself, are true of this process alone."""
        verdict = self._failed[_key(package, units)] = Verdict(package, str(error))
        if isinstance(error, OutOfMemoryError | BackendUnavailable):
            return
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        row = {"date": now, "package": str(package.absolute()), "reason": verdict.reason}
        text = json.dumps(row, indent=2, ensure_ascii=False)
        self._write(self._file(package, units), text.encode())

    def forget(self, package: Path, units: str) -> None:
        """Core ML may be tried again."""
        self._failed.pop(_key(package, units), None)
        file = self._file(package, units)
        try:
            if file is not None:
                file.unlink(missing_ok=True)
        except OSError:
            pass  # as with one that cannot be written

    def have_passed(self, packages: Sequence[Path], units: str) -> bool:
        """Whether the self-test of the model in `packages` was passed here."""
        return all(self._has_passed(package, units) for package in packages)

    def remember_pass(self, packages: Sequence[Path], units: str) -> None:
        """Keep that the self-test was passed, so that it runs at the first use only."""
        for package in packages:
            self._passed.add(_key(package, units))
            self._write(self._pass_file(package, units), b"")

    def _has_passed(self, package: Path, units: str) -> bool:
        if _key(package, units) in self._passed:
            return True
        file = self._pass_file(package, units)
        return file is not None and file.is_file()

    def _pass_file(self, package: Path, units: str) -> Path | None:
        file = self._file(package, units)
        return None if file is None else file.with_suffix(".passed")

    def _file(self, package: Path, units: str) -> Path | None:
        try:
            runtime = self._runtimes.open(names.COREML)
            folder = self._runtimes.cache_folder
            return Path(runtime.verdict_file(package, names.COMPUTE_UNITS[units], folder))
        except (EngineError, BackendUnavailable):
            return None

    @staticmethod
    def _write(file: Path | None, content: bytes) -> None:
        """A folder that cannot be written costs only time, so it is no error."""
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file) as opened:
                opened.write(content)
        except OSError:
            pass


def _key(package: Path, units: str) -> Key:
    return str(package.resolve()), units
