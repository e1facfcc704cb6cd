"""Loading a bundle's models ahead of their first use, which on Core ML compiles them for minutes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..bundle import Bundle, Size
from ..errors import UsageError
from .chunks import ComponentModel
from .settings import STAGE_OF, STAGES
from .stages import StageModels

__all__ = ["Warmed", "WarmingProgress", "warm"]

#: Called with the component that is about to be loaded, its place from 0, and how many there are.
WarmingProgress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Warmed:
    """A component that `Pipeline.prewarm` loaded.

    backend    what took it; several, joined by "+", where chunks ended on different ones
    reason     why that one
    seconds    compiling, loading, the self-test, and the prediction that loads a size's function
    compiled   True if Core ML compiled it now, False if it had before, None where nothing is compiled (MLX)
    """

    component: str
    backend: str
    reason: str
    seconds: float
    compiled: bool | None


def warm(
    bundle: Bundle,
    models: StageModels,
    backends: Mapping[str, str],
    stages: Sequence[str] | None,
    size: tuple[int, int],
    on_progress: WarmingProgress | None,
) -> list[Warmed]:
    """Load those of the bundle's components that belong to `stages` (None: to all), in their order, for
    pictures of `size`."""
    unknown = [stage for stage in stages or () if stage not in STAGES]
    if unknown:
        raise UsageError(f"stages names {unknown[0]!r}, expected some of {', '.join(map(repr, STAGES))}")
    wanted = [c for c in bundle.components if stages is None or STAGE_OF[c] in stages]
    warmed = []
    for index, component in enumerate(wanted):
        if on_progress is not None:
            on_progress(component, index, len(wanted))
        models.take_load_seconds()
        model = models.model(component, backends[STAGE_OF[component]], Size(*size))
        seconds = models.take_load_seconds()
        seconds += _open_function(model, bundle.component(component).function(*size))
        warmed.append(Warmed(component, model.backend, model.reason, seconds, model.compiled))
        models.done([component])
    return warmed


def _open_function(model: ComponentModel, function: str | None) -> float:
    """Have Core ML load `function`, if it has not; the seconds that this took."""
    started = time.perf_counter()
    if function is not None and model.opens(function):
        model.open(function)
    return time.perf_counter() - started
