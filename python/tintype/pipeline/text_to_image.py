"""Text to image: tokens → text encoders → modulation → Euler steps of the denoiser → VAE → picture.

pipeline = Pipeline.load("sd3.bundle")
pipeline.generate("a red circle", seed=7).save("circle.png")

for event in pipeline.steps("a red circle"):      # the caller owns progress and cancelling
    if isinstance(event, Step): print(event.number, event.steps)
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .. import names
from ..bundle import Bundle
from .conditioning import TextConditioning, TextEncoders
from .denoising import Denoiser
from .families import FAMILIES
from .image import save_image, to_image
from .request import BackendChoice, GenerationRequest, RequestOptions, as_request
from .schedule import SigmaSchedule, bundle_schedule, euler_step
from .settings import STAGES, TEXT_STAGE, VAE_STAGE, GenerationSettings, Plan, make_plan, stage_backends
from .stages import StageModels, StageRun

if TYPE_CHECKING:
    from typing_extensions import Unpack  # only annotations need it

__all__ = ["Conditioned", "GenerationResult", "Pipeline", "Step", "Timings", "Warmed"]

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
    """Step `number` (from 1) of `steps` is done; `latents`, float32 [1, C, h, w], are those after it."""

    number: int
    steps: int
    sigma: float
    timestep: float
    latents: Array
    seconds: float


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
class Warmed:
    """A component that `Pipeline.prewarm` loaded, the backend that took it, and the seconds it took."""

    component: str
    backend: str
    seconds: float


@dataclass(frozen=True)
class GenerationResult:
    """A picture and where it comes from.

    image      PIL, RGB
    latents    final latents, float32 [1, C, h, w]
    decoded    the VAE's output before clipping and rounding, float32 [1, 3, H, W]
    settings   what was asked, with the seed that was used and the backend that ran each stage
    stages     stage → backend and why that one
    """

    image: Image.Image
    latents: Array
    decoded: Array
    settings: GenerationSettings
    stages: Mapping[str, StageRun]
    timings: Timings

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture; a PNG carries the settings (`parameters`). UsageError for a bad path."""
        return save_image(self.image, path, self.settings.to_json())


class Pipeline:
    """Draws pictures with a bundle. Models are loaded on first use and kept; `close` frees them."""

    def __init__(
        self,
        bundle: Bundle,
        backend: BackendChoice = names.AUTO,
        units: str = "all",
        reduce_memory: bool = False,
    ) -> None:
        for component in FAMILIES[bundle.family].required:
            bundle.component(component)
        self.bundle = bundle
        self._backends = stage_backends(backend, dict.fromkeys(STAGES, names.AUTO))
        self._models = StageModels(bundle, units, reduce_memory)
        self._text = TextEncoders(bundle, self._models)

    @classmethod
    def load(
        cls,
        bundle: "str | os.PathLike[str] | Bundle | None" = None,
        backend: BackendChoice = names.AUTO,
        units: str = "all",
        reduce_memory: bool = False,
    ) -> "Pipeline":
        """Open a bundle folder; without one, the embedded default model (converted on first use).

        backend         for every stage, or {"text_encoder": …, "denoiser": …, "vae": …}; `generate` may say
                        otherwise
        units           what Core ML may use: "all", "ane", "gpu", "cpu"
        reduce_memory   free each model when a run is done with it, the text encoders before the denoiser is
                        loaded; every run loads them again

        Raises BundleError, naming file and remedy, for anything that is not a complete bundle.
        """
        if bundle is None:
            from ..embedded import embedded_bundle

            bundle = embedded_bundle()
        opened = bundle if isinstance(bundle, Bundle) else Bundle.read(Path(bundle))
        return cls(opened, backend, units, reduce_memory)

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
        for event in self.steps(prompt, negative_prompt, **options):
            if isinstance(event, Step) and on_step is not None:
                on_step(event)
            if isinstance(event, GenerationResult):
                return event
        raise AssertionError("a run ends with its result")

    def steps(
        self,
        prompt: str | GenerationRequest,
        negative_prompt: str | None = None,
        **options: "Unpack[RequestOptions]",
    ) -> Iterator[Conditioned | Step | GenerationResult]:
        """`generate` as a generator: yields Conditioned, every Step, and the GenerationResult.

        Values are checked at once; the work happens as the caller iterates, who cancels by stopping.
        """
        return self._run(make_plan(self.bundle, as_request(prompt, negative_prompt, options), self._backends))

    def prewarm(self) -> list["Warmed"]:
        """Load what a run needs ahead of the first one; Core ML compiles then. What took how long, in order.

        With `reduce_memory` each model is freed again before the next: Core ML keeps what it compiled.
        """
        warmed = []
        for stage, components in STAGES.items():
            for component in components:
                if component in self.bundle.components:
                    self._models.take_load_seconds()
                    model = self._models.model(component, self._backends[stage])
                    warmed.append(Warmed(component, model.backend, self._models.take_load_seconds()))
                    self._models.done([component])
        return warmed

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

    def _run(self, plan: Plan) -> Iterator[Conditioned | Step | GenerationResult]:
        clock = _Clock(self._models)
        latent = self.bundle.latent_at(plan.size.width, plan.size.height)
        pixels = latent.height * latent.width
        schedule = bundle_schedule(self.bundle.schedule, plan.settings.steps, pixels)
        positive = self._text.encode(plan.settings.prompt, plan)
        negative = self._text.encode(plan.settings.negative_prompt, plan) if plan.guided else None
        self._models.done(STAGES[TEXT_STAGE])
        clock.lap("text_encoder")
        rows = [positive] if negative is None else [negative, positive]
        denoiser = Denoiser(self.bundle, self._models, plan, schedule, rows)
        self._models.done([names.MODULATION])
        clock.lap("modulation")
        latents = plan.latents
        yield Conditioned(self._settings(plan), schedule, latents, positive, negative)
        clock.restart()
        for index in range(schedule.steps):
            sigma, next_sigma = schedule.sigmas[index], schedule.sigmas[index + 1]
            latents = euler_step(latents, denoiser.velocity(latents, index), sigma, next_sigma)
            seconds = clock.lap("denoiser")
            yield Step(
                index + 1, schedule.steps, float(sigma), float(schedule.timesteps[index]), latents, seconds
            )
            clock.restart()
        self._models.done([names.DENOISER])
        decoded = self._decode(latents, plan)
        self._models.done(STAGES[VAE_STAGE])
        clock.lap("vae")
        yield GenerationResult(
            to_image(decoded), latents, decoded, self._settings(plan), self._stages(plan), clock.timings()
        )

    def _decode(self, latents: Array, plan: Plan) -> Array:
        """Model space → VAE space → pixels in [-1, 1], float32 [1, 3, H, W]."""
        scaled = latents / np.float32(self.bundle.latent.scale) + np.float32(self.bundle.latent.shift)
        outputs = self._models.run(
            names.VAE_DECODER, plan.backends[VAE_STAGE], {names.LATENT: scaled}, plan.size
        )
        return outputs[names.IMAGE]

    def _stages(self, plan: Plan) -> dict[str, StageRun]:
        runs = {stage: self._models.stage_run(stage, plan.backends[stage]) for stage in STAGES}
        return {stage: run for stage, run in runs.items() if run is not None}

    def _settings(self, plan: Plan) -> GenerationSettings:
        return replace(plan.settings, backends={s: run.backend for s, run in self._stages(plan).items()})


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
        return Timings(**self._seconds, total=sum(self._seconds.values()))
