"""`load_model`: opens a package on the backend that the caller names, or on the best one that works."""

import logging
import os
import warnings
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from .. import _bridge, names
from ..errors import BackendUnavailable, EngineError, ModelFileError, UsageError
from .compile_cache import compiled_models, is_compiled
from .model import FallbackWarning, Loaded, Model
from .runtimes import INSTALLED, Runtimes, check_backend, check_units
from .time_box import TIME_BOX, check_time_box, started
from .verdicts import Verdict

__all__ = ["FallbackWarning", "load_model", "load_with"]

LOGGER = logging.getLogger("tintype")


def load_model(
    path: str | os.PathLike[str],
    backend: str = names.AUTO,
    units: str = "all",
    time_box: float | None = TIME_BOX,
) -> Model:
    """Open an `.mlpackage`.

    backend   "coreml" and "mlx" are strict: that one, or BackendUnavailable with reason and remedy. "auto"
              takes Apple's Core ML where it exists and goes over to MLX when Core ML cannot load, compile or
              run the model; it says so once, with the reason (FallbackWarning), and remembers it beside the
              compiled models, as the Swift package does (the model's `reason` names the file).
    units     what Core ML may use: "all", "ane", "gpu", "cpu". MLX ignores it.
    time_box  seconds that "auto" gives Core ML to compile and load; None: as long as it takes. Core ML cannot
              be stopped: what takes longer goes on in the background, and does not keep the process from
              ending. When it ends well after all, Core ML is asked again the next time.

    Logs to the logger "tintype" (INFO) that Core ML is about to compile the model for the first time.

    Ctrl-C ends the wait for Core ML on the main thread with KeyboardInterrupt.

    Raises UsageError for unknown backends, units and time boxes, ModelFileError if nothing is there,
    ModelFormatError for damaged files, UnsupportedModelError for what the runtime cannot run.
    """
    return load_with(INSTALLED, path, backend, units, time_box)


def check_path(path: Any) -> str:
    """`path` as text; UsageError if it is none."""
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise UsageError(f"path is {path!r}, expected the path of an .mlpackage as a str or a Path")
    return text


def load_with(
    runtimes: Runtimes,
    path: str | os.PathLike[str],
    backend: str,
    units: str,
    time_box: float | None = TIME_BOX,
) -> Model:
    """`load_model` on given runtimes."""
    check_backend(backend)
    check_units(units)
    time_box = check_time_box(time_box)
    location = Path(check_path(path))
    if not location.exists():
        raise ModelFileError(f"there is no model at {location}: name an .mlpackage folder")
    if backend == names.AUTO:
        return _load_automatically(runtimes, location, units, time_box)
    loaded = _start(runtimes, location, backend, units, "asked for")
    return Model(str(location), loaded.result(), None)


def _start(runtimes: Runtimes, path: Path, backend: str, units: str, reason: str) -> "Future[Loaded]":
    """Core ML compiles for minutes at first, on a thread that can be left; MLX loads at once."""

    def load() -> Loaded:
        runtime = runtimes.open(backend)
        known = compiled_models(runtimes, path) if backend == names.COREML else frozenset()
        if backend == names.COREML and not is_compiled(runtimes, path):
            LOGGER.info("compiling %s for Core ML (first run; minutes for a large model)", path.stem)
        handle = _bridge.Model.load(runtime, path, check_units(units), runtimes.cache_folder)
        made = not compiled_models(runtimes, path) <= known if backend == names.COREML else None
        return Loaded(backend, reason, handle, made)

    if backend == names.COREML:
        return started(load)
    loaded: Future[Loaded] = Future()
    loaded.set_result(load())
    return loaded


def _load_automatically(runtimes: Runtimes, path: Path, units: str, time_box: float | None) -> Model:
    backends, reason = runtimes.candidates()
    verdict = None if backends[0] == names.MLX else runtimes.verdicts.find(path, units)
    if backends[0] == names.MLX or verdict is not None:
        reason = reason if verdict is None else str(verdict)
        return Model(str(path), _start(runtimes, path, names.MLX, units, f"auto: {reason}").result(), None)

    def fall_back(error: Exception) -> Loaded:
        verdict = Verdict(path, str(error))
        loaded = _start(runtimes, path, names.MLX, units, f"auto: {verdict}, so MLX runs it").result()
        runtimes.verdicts.remember(error, path, units)
        return loaded

    def withdraw(late: "Future[Loaded]") -> None:
        # Compiled after all: the system keeps what it made, so the next load is quick.
        if late.exception() is None:
            runtimes.verdicts.forget(path, units)

    attempt = _start(runtimes, path, names.COREML, units, f"auto: {reason}")
    wait([attempt], time_box)
    overdue = f"compiling and loading took longer than {time_box} s; it goes on in the background"
    failure = attempt.exception() if attempt.done() else EngineError(overdue)
    if not isinstance(failure, EngineError | BackendUnavailable):
        return Model(str(path), attempt.result(), fall_back)
    loaded = fall_back(failure)
    attempt.add_done_callback(withdraw)  # at once if it has ended meanwhile
    warnings.warn(loaded.reason, FallbackWarning, stacklevel=4)
    return Model(str(path), loaded, None)
