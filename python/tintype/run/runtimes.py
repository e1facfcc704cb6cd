"""The runtimes of this installation: where their libraries lie, and which of them can run models.

Two libraries export the same C function table (bridge/c/tintype.h): the C++ engine ("mlx") and the Swift
runtime around Core ML ("coreml"). They are opened on first use and stay open until the process ends.
"""

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _bridge, names
from ..errors import BackendUnavailable, UsageError
from .verdicts import Verdicts

__all__ = ["INSTALLED", "BackendInfo", "Library", "Runtimes", "backends", "check_backend", "check_units"]

APPLE = "apple"


@dataclass(frozen=True)
class Library:
    """Where a runtime's library lies, the symbol of its table, and the note that explains its absence."""

    path: Path
    symbol: str
    note: Path | None = None


@dataclass(frozen=True)
class BackendInfo:
    """One row of `backends()`.

    `reason` is empty for a backend that runs; otherwise it says why it does not, and what would help.
    `details` is the runtime's own description (version, implementation, device, compute_units).
    """

    name: str
    available: bool
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_apples(self) -> bool:
        """Whether this is Apple's Core ML, not the portable one."""
        return self.details.get("implementation") == APPLE


def check_backend(backend: str) -> str:
    """`backend` if it is one; UsageError naming the choices otherwise."""
    if not isinstance(backend, str) or backend not in names.BACKENDS:
        choices = ", ".join(repr(b) for b in names.BACKENDS)
        raise UsageError(f"backend is {backend!r}, expected one of {choices}")
    return backend


def check_units(units: str) -> int:
    """The value of `tt_compute_units` for the short name `units`; UsageError naming the choices otherwise."""
    if not isinstance(units, str) or units not in names.COMPUTE_UNITS:
        choices = ", ".join(repr(u) for u in names.COMPUTE_UNITS)
        raise UsageError(f"units is {units!r}, expected one of {choices}")
    return names.COMPUTE_UNITS[units]


class Runtimes:
    """Opens libraries once, and remembers which models Core ML could not run.

    `apple` says whether this is one of Apple's systems, where "auto" looks for Core ML at all. `cache_folder`
    is where Core ML's compiled models and what is known of them are kept; None: the system's cache folder.
    """

    def __init__(
        self,
        libraries: Mapping[str, Library],
        *,
        apple: bool = sys.platform == "darwin",
        cache_folder: Path | None = None,
    ) -> None:
        self.libraries = dict(libraries)
        self._apple = apple
        self.cache_folder = cache_folder
        self._opened: dict[str, _bridge.Runtime] = {}
        self._lock = threading.Lock()
        self.verdicts = Verdicts(self)

    def open(self, backend: str) -> _bridge.Runtime:
        """The runtime of `backend`; BackendUnavailable with reason and remedy if no model can run on it."""
        with self._lock:
            if backend not in self._opened:
                try:
                    self._opened[backend] = self._open(backend)
                except BackendUnavailable as error:
                    raise BackendUnavailable(f'backend "{backend}" is not available: {error}') from error
            return self._opened[backend]

    def _open(self, backend: str) -> _bridge.Runtime:
        library = self.libraries[backend]
        if not library.path.is_file():
            if library.note is not None and library.note.is_file():
                raise BackendUnavailable(library.note.read_text(encoding="utf-8").strip())
            raise BackendUnavailable(f"{library.path} is missing from the installation: reinstall tintype")
        runtime = _bridge.Runtime.open(library.path, library.symbol)
        runtime.check_available()
        return runtime

    def info(self, backend: str) -> BackendInfo:
        """Whether `backend` runs here, and what it is. Never raises."""
        try:
            runtime = self.open(backend)
        except BackendUnavailable as error:
            return BackendInfo(backend, False, str(error.__cause__ or error))
        try:
            details = json.loads(runtime.describe())
        except ValueError:
            details = {}
        return BackendInfo(backend, True, "", details if isinstance(details, dict) else {})

    def candidates(self) -> tuple[list[str], str]:
        """The backends that "auto" tries, in order, and why.

        Apple's Core ML goes first where it exists. The portable Core ML of Linux is never chosen: it runs the
        same engine as "mlx", by a longer way.
        """
        if not self._apple:
            return [names.MLX], "Core ML exists on Apple's systems only"
        info = self.info(names.COREML)
        if not info.available:
            return [names.MLX], f"Core ML is not available: {info.reason}"
        if not info.is_apples:
            return [names.MLX], "this Core ML is not Apple's"
        return [names.COREML, names.MLX], "Core ML is available"


def _installed() -> Runtimes:
    # Beside the extension module: in an editable install the Python sources lie elsewhere.
    folder = Path(_bridge.__file__ or "").parent / "lib"
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    return Runtimes(
        {
            names.MLX: Library(folder / f"libtintype_engine{suffix}", "tintype_engine_api"),
            names.COREML: Library(
                folder / f"libTintypeRuntime{suffix}", "tintype_coreml_api", folder / "NO_SWIFT.txt"
            ),
        }
    )


#: The runtimes that were installed with this package.
INSTALLED = _installed()


def backends() -> list[BackendInfo]:
    """What runs on this machine, and why the rest does not: one row for Core ML, one for MLX."""
    return [INSTALLED.info(backend) for backend in (names.COREML, names.MLX)]
