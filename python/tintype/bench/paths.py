"""`tintype bench PATH`: a bundle's stages, or a package's predictions, on each backend that runs here.

The backends take turns within one run, so that what else the machine does meets all of them. Keys of the JSON
are those of the Swift command.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle
from ..pipeline import Pipeline, Step
from ..run import Model, backends, load_model
from .measure import seconds

__all__ = ["BundleReport", "PackageReport", "bench_bundle", "bench_package"]

PARTS = ("load", "text_encoder", "modulation", "step", "vae")
PROMPT = "a lighthouse at dawn"
#: Predictions are timed in so many blocks.
BLOCKS = 20

#: Called with a backend, the pictures that are drawn, and their number.
OnPicture = Callable[[str, int, int], object]


@dataclasses.dataclass(frozen=True)
class BundleReport:
    """Medians: backend → part → seconds, part → Core ML's as a multiple of MLX's where both ran, and why a
    backend is not among them. `coreml_implementation` says whose Core ML it was, empty without one."""

    name: str
    size: str
    steps: int
    pictures: int
    seconds: Mapping[str, Mapping[str, float]]
    ratios: Mapping[str, float]
    unavailable: Mapping[str, str]
    coreml_implementation: str

    def text(self) -> str:
        """The report as Markdown."""
        ran = list(self.seconds)
        head = ["ms", *(_label(name, self.coreml_implementation) for name in ran)]
        rows = [head + (["coreml / mlx"] if self.ratios else [])]
        for part in PARTS:
            times = [self.seconds[name].get(part) for name in ran]
            cells = ["-" if time is None else f"{1000 * time:.2f}" for time in times]
            rows.append([part, *cells, *([f"{self.ratios[part]:.2f}"] if part in self.ratios else [])])
        first = f"{self.name}, {self.size}, {self.steps} steps, {self.pictures} pictures a backend (medians)"
        return "\n".join([first, "", *_table(rows), *_missing(self.unavailable)])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class PackageReport:
    """Backend → microseconds of a prediction (the median of blocks), and why one is not among them."""

    path: str
    predictions: int
    microseconds: Mapping[str, float]
    unavailable: Mapping[str, str]

    def text(self) -> str:
        """The report as Markdown."""
        rows = [["backend", "µs"], *([name, f"{time:.1f}"] for name, time in self.microseconds.items())]
        first = f"{self.path}: {self.predictions} predictions a backend, in turn (median of blocks)"
        return "\n".join([first, "", *_table(rows), *_missing(self.unavailable)])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


def bench_bundle(
    bundle: Bundle,
    backend: str,
    units: str,
    size: tuple[int, int] | None,
    steps: int,
    pictures: int,
    on_picture: OnPicture | None = None,
) -> BundleReport:
    """Draw `pictures` pictures of `steps` steps on `backend` ("auto": on all that run here), after one more
    that fills the caches. Raises what `Pipeline` does."""
    chosen, unavailable = _chosen(backend)
    times: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        pipelines = {b: stack.enter_context(Pipeline.load(bundle, b, units, time_box=None)) for b in chosen}
        for name, pipeline in pipelines.items():
            times[name] = {"load": [sum(row.seconds for row in pipeline.prewarm(size=size))]}
        for picture in range(pictures + 1):
            for place, (name, pipeline) in enumerate(pipelines.items()):
                if on_picture is not None:
                    on_picture(name, picture * len(pipelines) + place, (pictures + 1) * len(pipelines))
                for part, found in _draw(pipeline, size, steps).items() if picture else ():
                    times[name].setdefault(part, []).extend(found)
    medians = {n: {p: statistics.median(t[p]) for p in PARTS if t.get(p)} for n, t in times.items()}
    coreml, mlx = (medians.get(name, {}) for name in (names.COREML, names.MLX))
    ratios = {part: coreml[part] / mlx[part] for part in PARTS if part in coreml and mlx.get(part)}
    width, height = size or (bundle.size.width, bundle.size.height)
    return BundleReport(
        bundle.name, f"{width}x{height}", steps, pictures, medians, ratios, unavailable, _implementation()
    )


def bench_package(path: Path, backend: str, units: str, count: int) -> PackageReport:
    """Predict with zeros on `backend` ("auto": on all that run here), `count` times or a little less. Raises
    what `load_model` and `Model.predict` do."""
    chosen, unavailable = _chosen(backend)
    size, times = max(1, count // BLOCKS), dict[str, list[float]]()
    with ExitStack() as stack:
        models = {name: stack.enter_context(load_model(path, name, units)) for name in chosen}
        work = {name: partial(_repeat, _prediction(model), size) for name, model in models.items()}
        for block in range(max(1, count // size) + 1):
            for name, predict in work.items():
                taken = seconds(predict)
                if block:  # the first one fills the caches
                    times.setdefault(name, []).append(1e6 * taken / size)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return PackageReport(str(path), size * max(1, count // size), medians, unavailable)


def _draw(pipeline: Pipeline, size: tuple[int, int] | None, steps: int) -> dict[str, list[float]]:
    found: list[float] = []

    def on_step(step: Step) -> None:
        found.append(step.seconds)

    result = pipeline.generate(PROMPT, steps=steps, seed=0, size=size, on_step=on_step)
    timings = result.timings
    parts = {part: [getattr(timings, part)] for part in ("text_encoder", "modulation", "vae")}
    return {**parts, "step": found}


def _prediction(model: Model) -> Callable[[], object]:
    """A call with zeros for every input that is needed; flexible extents are 1."""
    inputs = {
        info.name: np.zeros([max(n, 1) for n in info.shape or (1,)], info.dtype)
        for info in model.inputs
        if not info.optional
    }
    state = model.make_state() if model.describe().states else None
    return partial(model.predict, inputs, state=state)


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def _chosen(backend: str) -> tuple[list[str], dict[str, str]]:
    """The backends to measure, and why others are not."""
    if backend != names.AUTO:
        return [backend], {}
    found = backends()
    return [b.name for b in found if b.available], {b.name: b.reason for b in found if not b.available}


def _implementation() -> str:
    rows = (b.details.get("implementation", "") for b in backends() if b.name == names.COREML)
    return str(next(rows, ""))


def _label(name: str, implementation: str) -> str:
    """ "apple" and "portable" tell the two apart that answer to "coreml"."""
    return f"{name} ({implementation})" if name == names.COREML and implementation else name


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def _missing(unavailable: Mapping[str, str]) -> list[str]:
    return ["", *(f"{name} not measured: {why}" for name, why in unavailable.items())] if unavailable else []
