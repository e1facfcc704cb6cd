"""`load_model`: opens a package on the backend that the caller names, or on the best one that works."""

import os
import warnings
from pathlib import Path

from .. import _bridge, names
from ..errors import BackendUnavailable, EngineError, ModelFileError
from .model import FallbackWarning, Loaded, Model
from .runtimes import INSTALLED, Runtimes, check_backend, check_units
from .verdicts import Verdict

__all__ = ["FallbackWarning", "load_model", "load_with"]


def load_model(path: str | os.PathLike[str], backend: str = names.AUTO, units: str = "all") -> Model:
    """Open an `.mlpackage`.

    backend   "coreml" and "mlx" are strict: that one, or BackendUnavailable with reason and remedy. "auto"
              takes Apple's Core ML where it exists and goes over to MLX when Core ML cannot load, compile or
              run the model; it says so once, with the reason (FallbackWarning), and remembers it beside the
              compiled models, as the Swift package does (the model's `reason` names the file).
    units     what Core ML may use: "all", "ane", "gpu", "cpu". MLX ignores it.

    Raises UsageError for unknown backends and units, ModelFileError if nothing is there, ModelFormatError for
    damaged files, UnsupportedModelError for what the runtime cannot run.
    """
    return load_with(INSTALLED, path, backend, units)


def load_with(runtimes: Runtimes, path: str | os.PathLike[str], backend: str, units: str) -> Model:
    """`load_model` on given runtimes."""
    check_backend(backend)
    check_units(units)
    location = Path(path)
    if not location.exists():
        raise ModelFileError(f"there is no model at {location}: name an .mlpackage folder")
    if backend != names.AUTO:
        return Model(str(location), _load(runtimes, location, backend, units, "asked for"), None)
    return _load_automatically(runtimes, location, units)


def _load(runtimes: Runtimes, path: Path, backend: str, units: str, reason: str) -> Loaded:
    runtime = runtimes.open(backend)
    handle = _bridge.Model.load(runtime, path, check_units(units), runtimes.cache_folder)
    return Loaded(backend, reason, handle)


def _load_automatically(runtimes: Runtimes, path: Path, units: str) -> Model:
    backends, reason = runtimes.candidates()
    verdict = None if backends[0] == names.MLX else runtimes.verdicts.find(path, units)
    if backends[0] == names.MLX or verdict is not None:
        reason = reason if verdict is None else str(verdict)
        return Model(str(path), _load(runtimes, path, names.MLX, units, f"auto: {reason}"), None)

    def fall_back(error: Exception) -> Loaded:
        verdict = Verdict(path, str(error))
        loaded = _load(runtimes, path, names.MLX, units, f"auto: {verdict}, so MLX runs it")
        runtimes.verdicts.remember(error, path, units)
        return loaded

    try:
        loaded = _load(runtimes, path, names.COREML, units, f"auto: {reason}")
    except (EngineError, BackendUnavailable) as error:
        loaded = fall_back(error)
        warnings.warn(loaded.reason, FallbackWarning, stacklevel=4)
        return Model(str(path), loaded, None)
    return Model(str(path), loaded, fall_back)
