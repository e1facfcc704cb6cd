"""Text to image: tokens → text encoders → modulation → Euler steps of the denoiser → VAE → picture.

pipeline = Pipeline.load("sd3.bundle")
pipeline.generate("a red circle", seed=7).save("circle.png")

for event in pipeline.steps("a red circle"):      # the caller owns progress and cancelling
    if isinstance(event, Step): print(event.number, event.steps)
"""

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .. import names
from ..bundle import Bundle
from ..errors import UsageError
from ..run.time_box import TIME_BOX
from .autoencoder import Autoencoder
from .conditioning import TextConditioning, TextEncoders
from .denoising import Denoiser
from .families import FAMILIES
from .image import save_image, to_image
from .preview import LatentProjection
from .request import GenerationRequest, RequestOptions, StageChoice, as_request
from .schedule import SigmaSchedule, bundle_schedule, euler_step
from .settings import (
    STAGES,
    TEXT_STAGE,
    VAE_STAGE,
    GenerationSettings,
    Plan,
    checked_size,
    make_plan,
    stage_backends,
    stage_units,
)
from .source import LatentSource
from .stages import StageModels, StageRun
from .statistics import RunStatistics, StageStatistics
from .warming import Warmed, WarmingProgress, warm

if TYPE_CHECKING:
    from typing_extensions import Unpack  # only annotations need it

__all__ = ["Conditioned", "GenerationResult", "Pipeline", "Step", "Timings"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conditioned:
    """The first event of a run: the text is encoded, the loop is about to start.

    `latents` is the initial noise, float32 [1, C, h, w]; `negative` is None without guidance.
    """

    settings: GenerationSettings
    schedule: SigmaSchedule
    latents: Array
    positive: TextConditioning
    negative: TextConditioning | None


@dataclass(frozen=True)
class Step:
    """Step `number` (from 1) of `steps` is done; `latents`, float32 [1, C, h, w], are those after it.

    `image_index` is the picture's place in its run, from 0. `preview`, twice the latent's width and height in
    pixels, is what the step takes the finished picture to be, where the request asked for previews.
    """

    number: int
    steps: int
    sigma: float
    timestep: float
    latents: Array
    seconds: float
    image_index: int = 0
    preview: Image.Image | None = None


@dataclass(frozen=True)
class Timings:
    """Seconds: loading models, encoding text, modulation of all steps, the steps, decoding; their sum."""

    load: float
    text_encoder: float
    modulation: float
    denoiser: float
    vae: float
    total: float


@dataclass(frozen=True)
class GenerationResult:
    """A picture and where it comes from.

    image      PIL, RGB
    latents    final latents, float32 [1, C, h, w]
    decoded    the VAE's output before clipping and rounding, float32 [1, 3, H, W]
    settings   what was asked, with the seed that was used and the backend that ran each stage
    stages     stage → backend and why that one
    statistics stage → what its predictions cost from the run's beginning on, where the request asked for it
    """

    image: Image.Image
    latents: Array
    decoded: Array
    settings: GenerationSettings
    stages: Mapping[str, StageRun]
    timings: Timings
    statistics: Mapping[str, StageStatistics] | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture; a PNG carries the settings (`parameters`). UsageError for a bad path."""
        return save_image(self.image, path, self.settings.to_json())


class Pipeline:
    """Draws pictures with a bundle. Models are loaded on first use and kept; `close` frees them."""

    def __init__(
        self,
        bundle: Bundle,
        backend: StageChoice = names.AUTO,
        units: StageChoice = None,
        reduce_memory: bool = False,
        memory_budget: int | None = None,
        time_box: float | None = TIME_BOX,
    ) -> None:
        for component in FAMILIES[bundle.family].required:
            bundle.component(component)
        self.bundle = bundle
        self._backends = stage_backends(backend, dict.fromkeys(STAGES, names.AUTO))
        self._models = StageModels(bundle, units, reduce_memory, memory_budget, time_box=time_box)
        self._text = TextEncoders(bundle)
        self._projection: LatentProjection | None = None

    @classmethod
    def load(
        cls,
        bundle: "str | os.PathLike[str] | Bundle | None" = None,
        backend: StageChoice = names.AUTO,
        units: StageChoice = None,
        reduce_memory: bool = False,
        memory_budget: int | None = None,
        time_box: float | None = TIME_BOX,
    ) -> "Pipeline":
        """Open a bundle folder; without one, the embedded default model (converted on first use).

        backend         for every stage, or {"text_encoder": …, "denoiser": …, "vae": …}; `generate` may say
                        otherwise
        units           what Core ML may use: "all", "ane", "gpu", "cpu", likewise
        reduce_memory   free each model when a run is done with it, the text encoders before the denoiser is
                        loaded; every run loads them again
        memory_budget   bytes of weights that may be loaded at a time; the models that were not used for
                        longest make room, and one that is larger is loaded alone. Core ML holds them once
                        for each size that was drawn
        time_box        seconds that "auto" gives Core ML to compile and load a package, and to load another
                        size of it, before MLX takes over; None: as long as it takes

        Raises BundleError, naming file and remedy, for anything that is not a complete bundle.
        """
        if bundle is None:
            from ..embedded import embedded_bundle

            bundle = embedded_bundle()
        opened = bundle if isinstance(bundle, Bundle) else Bundle.read(Path(bundle))
        return cls(opened, backend, units, reduce_memory, memory_budget, time_box)

    def generate(
        self,
        prompt: str | GenerationRequest,
        negative_prompt: str | None = None,
        *,
        on_step: Callable[[Step], object] | None = None,
        **options: "Unpack[RequestOptions]",
    ) -> GenerationResult:
        """Draw one picture.

        prompt    what it shows, or a whole GenerationRequest
        options   the other fields of GenerationRequest, whose documentation explains each (steps, seed, …)
        on_step   called after every step; what it raises ends the run

        Raises UsageError for unusable values, BackendUnavailable, EngineError if a stage fails or gives NaN.
        Warns with PromptCutWarning if the prompt is longer than an encoder reads.
        """
        request = as_request(prompt, negative_prompt, options)
        if request.count != 1:
            raise UsageError(f"count is {request.count!r}, but generate draws one picture: call pictures")
        return next(self.pictures(request, on_step=on_step))

    def pictures(
        self,
        prompt: str | GenerationRequest,
        negative_prompt: str | None = None,
        *,
        on_step: Callable[[Step], object] | None = None,
        **options: "Unpack[RequestOptions]",
    ) -> Iterator[GenerationResult]:
        """`generate` for `count` pictures, each as it is finished. The text is encoded once; the seed's noise
        continues from picture to picture, so that the first is the one that `generate` draws."""
        events = self.steps(prompt, negative_prompt, **options)
        return _results(events, on_step)

    def steps(
        self,
        prompt: str | GenerationRequest,
        negative_prompt: str | None = None,
        **options: "Unpack[RequestOptions]",
    ) -> Generator[Conditioned | Step | GenerationResult, None, None]:
        """`generate` as a generator: yields Conditioned, every Step, and the GenerationResult.

        Values are checked at once; the work happens as the caller iterates, who cancels by stopping.
        """
        request = as_request(prompt, negative_prompt, options)
        return self._run(make_plan(self.bundle, request, self._backends, self._models.units))

    def prewarm(
        self,
        stages: Sequence[str] | None = None,
        *,
        size: tuple[int, int] | None = None,
        backend: StageChoice = None,
        units: StageChoice = None,
        on_progress: WarmingProgress | None = None,
    ) -> list[Warmed]:
        """Load the bundle's models ahead of the first run, and run the self-tests; Core ML compiles then, for
        minutes. What took how long, and which backend took it, in order.

        stages          names of `names.STAGES`; None: all
        size            (width, height); on Core ML another than the default one, which loads too, is run
                        once, on zeros
        backend, units  as of `generate`; None: the pipeline's
        on_progress     called before each component with its name, its place from 0, and their number

        With `reduce_memory` each model is freed again before the next: Core ML keeps what it compiled.
        Raises UsageError for unknown stages, sizes, backends and units, else as `generate`.
        """
        models = self._models.for_run(stage_units(units, self._models.units), None)
        backends = stage_backends(backend, self._backends)
        return warm(self.bundle, models, backends, stages, checked_size(self.bundle, size), on_progress)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The components whose models are in memory."""
        return self._models.loaded

    def close(self) -> None:
        """Free all models; the next run loads them again."""
        self._models.close()

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, plan: Plan) -> Generator[Conditioned | Step | GenerationResult, None, None]:
        models = self._models.for_run(plan.units, RunStatistics() if plan.statistics else None)
        try:
            yield from self._events(plan, models)
        finally:  # also where the caller stops, or a stage fails
            models.done(self.bundle.components)

    def _events(self, plan: Plan, models: StageModels) -> Iterator[Conditioned | Step | GenerationResult]:
        clock = _Clock(models)
        latent = self.bundle.latent_at(plan.size.width, plan.size.height)
        schedule = bundle_schedule(self.bundle.schedule, plan.settings.steps, latent.height * latent.width)
        if plan.source is not None:
            schedule = schedule.dropping(plan.source.first_step(plan.settings.steps))
        positive = self._text.encode(plan.settings.prompt, plan, models)
        negative = self._text.encode(plan.settings.negative_prompt, plan, models) if plan.guided else None
        models.done(STAGES[TEXT_STAGE])
        clock.lap("text_encoder")
        rows = [positive] if negative is None else [negative, positive]
        denoiser = Denoiser(self.bundle, models, plan, schedule, rows)
        models.done([names.MODULATION])
        clock.lap("modulation")
        autoencoder = Autoencoder(self.bundle, models, plan.backends[VAE_STAGE], plan.size)
        source = LatentSource.encoded(autoencoder.encode, plan.source, latent) if plan.source else None
        projection = self._preview_projection(autoencoder) if plan.preview_interval else None
        models.done([names.VAE_ENCODER, *STAGES[VAE_STAGE]])
        clock.lap("vae")
        for index, noise in enumerate(plan.noise):
            yield Conditioned(self._settings(plan, index, models), schedule, noise, positive, negative)
            clock.restart()
            drawing = _Drawing(denoiser, schedule, source, projection, plan.preview_interval)
            latents = yield from drawing.steps(index, noise, clock)
            if index == len(plan.noise) - 1:
                models.done([names.DENOISER])
            decoded = autoencoder.decode(latents)
            models.done(STAGES[VAE_STAGE])
            clock.lap("vae")
            settings, stages = self._settings(plan, index, models), self._stages(plan, models)
            cost = models.statistics.stages() if models.statistics else None
            yield GenerationResult(
                to_image(decoded), latents, decoded, settings, stages, clock.timings(), cost
            )
            clock = _Clock(models)

    def _preview_projection(self, autoencoder: Autoencoder) -> LatentProjection:
        """Kept: the map of a latent space does not depend on the picture's size."""
        if self._projection is None:
            self._projection = autoencoder.projection()
        return self._projection

    def _stages(self, plan: Plan, models: StageModels) -> dict[str, StageRun]:
        runs = {stage: models.stage_run(stage, plan.backends[stage]) for stage in STAGES}
        return {stage: run for stage, run in runs.items() if run is not None}

    def _settings(self, plan: Plan, index: int, models: StageModels) -> GenerationSettings:
        backends = {s: run.backend for s, run in self._stages(plan, models).items()}
        return replace(plan.settings, backends=backends, image_index=index)


def _results(
    events: Generator[Conditioned | Step | GenerationResult, None, None],
    on_step: Callable[[Step], object] | None,
) -> Iterator[GenerationResult]:
    with closing(events):  # what on_step raises would keep them, and the models, alive in its traceback
        for event in events:
            if isinstance(event, Step) and on_step is not None:
                on_step(event)
            if isinstance(event, GenerationResult):
                yield event


@dataclass(frozen=True)
class _Drawing:
    """What the steps of all pictures of a run share."""

    denoiser: Denoiser
    schedule: SigmaSchedule
    source: LatentSource | None
    projection: LatentProjection | None
    preview_interval: int | None

    def steps(self, image_index: int, noise: Array, clock: "_Clock") -> Generator[Step, None, Array]:
        """Yields every step and returns the final latents."""
        sigmas, timesteps = self.schedule.sigmas, self.schedule.timesteps
        latents = noise if self.source is None else self.source.noised(noise, sigmas[0])
        for index in range(self.schedule.steps):
            sigma, next_sigma = sigmas[index], sigmas[index + 1]
            velocity = self.denoiser.velocity(latents, index)
            preview = self._preview(index, latents, velocity, sigma)
            latents = euler_step(latents, velocity, sigma, next_sigma)
            if self.source is not None:
                latents = self.source.kept(latents, noise, next_sigma)
            seconds = clock.lap("denoiser")
            yield Step(
                number=index + 1,
                steps=self.schedule.steps,
                sigma=float(sigma),
                timestep=float(timesteps[index]),
                latents=latents,
                seconds=seconds,
                image_index=image_index,
                preview=preview,
            )
            clock.restart()
        return latents

    def _preview(self, index: int, latents: Array, velocity: Array, sigma: float) -> Image.Image | None:
        """What the step takes the latents without noise to be, x - σ·v, in colours."""
        if self.projection is None or self.preview_interval is None or (index + 1) % self.preview_interval:
            return None
        return self.projection.image(euler_step(latents, velocity, sigma, 0.0))


class _Clock:
    """Seconds per part of a run; loading is counted apart, what the caller does between events not at all."""

    def __init__(self, models: StageModels) -> None:
        self._models = models
        self._models.take_load_seconds()
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def restart(self) -> None:
        self._last = time.perf_counter()

    def lap(self, part: str) -> float:
        """Adds the time since the last lap to `part`, less the loading in between; returns it."""
        now = time.perf_counter()
        load = self._models.take_load_seconds()
        seconds = now - self._last - load
        self._last = now
        self._seconds[part] = self._seconds.get(part, 0.0) + seconds
        self._seconds["load"] = self._seconds.get("load", 0.0) + load
        return seconds

    def timings(self) -> Timings:
        parts = {field.name: self._seconds.get(field.name, 0.0) for field in fields(Timings)}
        return Timings(**parts | {"total": sum(self._seconds.values())})
