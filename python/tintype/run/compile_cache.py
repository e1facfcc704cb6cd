"""What Core ML has compiled: the Swift runtime keeps it as NAME-PATH-CONTENT.mlmodelc, a folder a package."""

from pathlib import Path
from typing import TYPE_CHECKING

from .. import names
from ..errors import BackendUnavailable, EngineError

if TYPE_CHECKING:
    from .runtimes import Runtimes

__all__ = ["compiled_models"]


def compiled_models(runtimes: "Runtimes", package: Path) -> frozenset[str]:
    """Names of the compiled models of packages called as `package`; none where that is not known."""
    try:
        verdict = runtimes.open(names.COREML).verdict_file(package, 0, runtimes.cache_folder)
    except (EngineError, BackendUnavailable):
        return frozenset()
    # Verdicts lie in a folder of their own beside the compiled models.
    folder = Path(verdict).parent.parent
    return frozenset(
        entry.name for entry in folder.glob("*.mlmodelc") if entry.name.startswith(f"{package.stem}-")
    )
