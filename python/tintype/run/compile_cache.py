"""What Core ML has compiled: the Swift runtime keeps it as NAME-CONTENT.mlmodelc, a folder a package.

NAME-CONTENT.source beside it lists the paths of the packages that it serves.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .. import names
from ..errors import BackendUnavailable, EngineError

if TYPE_CHECKING:
    from .runtimes import Runtimes

__all__ = ["compiled_models", "is_compiled"]


def compiled_models(runtimes: "Runtimes", package: Path) -> frozenset[str]:
    """Names of the compiled models of packages called as `package`; none where that is not known."""
    return frozenset(entry.name for entry in _entries(runtimes, package))


def is_compiled(runtimes: "Runtimes", package: Path) -> bool:
    """Whether something compiled is kept for the package at this path, unless it has changed since."""
    wanted = os.path.realpath(package)
    notes = [entry.with_suffix(".source") for entry in _entries(runtimes, package)]
    return any(os.path.realpath(line) == wanted for note in notes for line in _lines(note))


def _lines(note: Path) -> list[str]:
    try:
        return note.read_text("utf-8").splitlines()
    except (OSError, ValueError):  # another process has removed it, or it is damaged
        return []


def _entries(runtimes: "Runtimes", package: Path) -> list[Path]:
    try:
        verdict = runtimes.open(names.COREML).verdict_file(package, 0, runtimes.cache_folder)
    except (EngineError, BackendUnavailable):
        return []
    # Verdicts lie in a folder of their own beside the compiled models.
    folder = Path(verdict).parent.parent
    return [entry for entry in folder.glob("*.mlmodelc") if entry.name.startswith(f"{package.stem}-")]
