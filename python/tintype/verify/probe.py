"""Probing a bundle's packages: each is loaded and run once in a process of its own.

A system's compiler has ended the process that asked it to load a package (coremltools issue 2688); then that
is a child's end, and a row in the bundle.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..bundle import Bundle
from ..errors import UsageError
from ..run import backends
from ..run.time_box import TIME_BOX
from .bundle import gate_backends, write_description
from .steps import Steps

if TYPE_CHECKING:
    from ..emit import Progress

__all__ = [
    "Probe",
    "failed_probes",
    "probe_backends",
    "probe_bundle",
    "probe_package",
    "record_probes",
]

RAN, ERROR, ABORTED, OVERDUE = "ran", "error", "aborted", "overdue"

CHILD = "from tintype.verify.probe_child import main; main()"

#: Characters of a child's last words that are kept.
LAST_WORDS = 500


@dataclass(frozen=True)
class Probe:
    """How a package fared on a backend.

    outcome   "ran", "error", "aborted" (the child did not answer) or "overdue" (it took longer than it may)
    detail    the error's text; how the child ended, and its last words; what it might have taken
    """

    package: str
    backend: str
    outcome: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran."""
        return self.outcome == RAN

    @property
    def text(self) -> str:
        """One line."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.package} on {self.backend}: {self.outcome}{detail}"

    def to_json(self) -> dict[str, str]:
        """The package's row in bundle.json."""
        return {"outcome": self.outcome, **({"detail": self.detail} if self.detail else {})}


def probe_backends() -> tuple[str, ...]:
    """What `convert` probes on: Core ML where it is Apple's, else all that is there."""
    if names.COREML in gate_backends():
        return (names.COREML,)
    return tuple(row.name for row in backends() if row.available)


def probe_bundle(
    bundle: Bundle,
    chosen: Sequence[str],
    time_box: float = TIME_BOX,
    progress: "Progress | None" = None,
) -> list[Probe]:
    """Every package of `bundle`, one after the other, on each of the `chosen` backends; on Core ML with the
    compute units that the bundle's target is for.

    `time_box` is the seconds that a package may take; `progress` hears of "probing", with the packages done
    and to be done. Raises UsageError for a bundle that is not on disk.
    """
    units = "ane" if bundle.target == "ane" else "all"
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is probed")
    packages = [path for name in bundle.components for path in bundle.package_paths(name)]
    told = Steps(progress, len(chosen) * len(packages), "probing")
    probes = []
    for backend in chosen:
        for path in packages:
            probes.append(probe_package(path, backend, units, time_box))
            told.done()
    return probes


def probe_package(
    package: Path, backend: str, units: str = "all", time_box: float = TIME_BOX, *, child: str = CHILD
) -> Probe:
    """Load `package` and run each of its functions once on zeros, in a child process, which runs the program
    `child`. What Core ML compiles for it is not kept."""
    with tempfile.TemporaryDirectory(prefix="tintype-probe-") as cache:
        command = [sys.executable, "-c", child, str(package), backend, units, cache]
        try:
            done = subprocess.run(
                command, env=_environment(), capture_output=True, timeout=time_box, check=False
            )
        except subprocess.TimeoutExpired:
            return Probe(package.name, backend, OVERDUE, f"longer than {time_box:g} s")
    answer = _answer(done.stdout)
    if done.returncode != 0 or answer is None:
        return Probe(package.name, backend, ABORTED, _end(done.returncode, done.stderr))
    if answer["error"] is not None:
        return Probe(package.name, backend, ERROR, str(answer["error"]))
    return Probe(package.name, backend, RAN)


def record_probes(bundle: Bundle, probes: Iterable[Probe]) -> Bundle:
    """Write the probes into the bundle's bundle.json, a row a package under its backend, in the place of the
    backend's earlier ones; returns the new description."""
    rows: dict[str, Any] = dict(bundle.accuracy.get("probes", {}))
    fresh: dict[str, dict[str, Any]] = {}
    for probe in probes:
        fresh.setdefault(probe.backend, {})[probe.package] = probe.to_json()
    recorded = replace(bundle, accuracy={**bundle.accuracy, "probes": {**rows, **fresh}})
    write_description(recorded)
    return recorded


def failed_probes(accuracy: Mapping[str, Any], backend: str) -> tuple[str, ...]:
    """The packages that did not run on `backend` when they were probed, by a bundle's `accuracy`."""
    rows = accuracy.get("probes", {}).get(backend, {})
    return tuple(package for package, row in rows.items() if row["outcome"] != RAN)


def _environment() -> dict[str, str]:
    # The child finds the modules that this process found, and none in the working folder.
    paths = [path for path in sys.path if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}


def _answer(output: bytes) -> dict[str, Any] | None:
    """The child's last line; None if it is not its answer."""
    try:
        value = json.loads(output.decode("utf-8", "replace").splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return value if isinstance(value, dict) and "error" in value else None


def _end(code: int, errors: bytes) -> str:
    """How a child ended, and its last words."""
    if code < 0:
        try:
            how = signal.Signals(-code).name
        except ValueError:
            how = f"signal {-code}"
    else:
        how = f"exit code {code}"
    words = " ".join(errors.decode("utf-8", "replace").split())[-LAST_WORDS:]
    return f"{how}: {words}" if words else how
