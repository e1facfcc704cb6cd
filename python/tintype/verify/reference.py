"""A recorded run: what goes into and comes out of every component while a picture is drawn.

Timesteps, embeddings and latents are those of a real run, so every component is compared where it works, and
not on noise.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, Size
from ..pipeline.autoencoder import Autoencoder
from ..pipeline.conditioning import PromptCutWarning, TextEncoders
from ..pipeline.denoising import Denoiser
from ..pipeline.request import GenerationRequest
from ..pipeline.schedule import SigmaSchedule, bundle_schedule, euler_step
from ..pipeline.settings import STAGES, make_plan, stage_backends
from .apple import AnyModels, JoinedDenoiser, as_called, is_apples, joined_rows

__all__ = ["Call", "Recording", "calls_of", "draw", "record", "replay"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Call:
    """One prediction: float32 outputs of the inputs."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Recording:
    """The calls of every component in order, the timestep of each step (float32 [N]), the final latents and
    the decoded picture in [-1, 1]."""

    calls: Mapping[str, list[Call]]
    timesteps: Array
    latents: Array
    decoded: Array


class _Recorder(AnyModels):
    """Remembers every call."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.calls: dict[str, list[Call]] = {}

    def run(
        self, component: str, backend: str, inputs: Mapping[str, Array], size: Size | None = None
    ) -> dict[str, Array]:
        outputs = super().run(component, backend, inputs, size)
        kept = {name: value.copy() for name, value in outputs.items()}
        self.calls.setdefault(component, []).append(Call(dict(inputs), kept))
        return outputs


def record(bundle: Bundle, prompt: str, steps: int, backend: str, size: Size | None = None) -> Recording:
    """Draw `prompt` with seed 0 at `size` (None: the default one) and record it. Every component of the
    bundle is called, the VAE's encoder on the picture that came out."""
    models, size = _Recorder(bundle), size or bundle.size
    try:
        latents, decoded = _drawn(bundle, models, prompt, steps, backend, size)
        if names.VAE_ENCODER in bundle.components:
            Autoencoder(bundle, models, backend, size).encode(np.clip(decoded, -1, 1))
        return Recording(models.calls, _schedule(bundle, steps, size).timesteps, latents, decoded)
    finally:
        models.close()


def draw(bundle: Bundle, prompt: str, steps: int, backend: str, size: Size) -> tuple[Array, Array]:
    """The final latents and the decoded picture that `record` records."""
    models = AnyModels(bundle)
    try:
        return _drawn(bundle, models, prompt, steps, backend, size)
    finally:
        models.close()


def _drawn(
    bundle: Bundle, models: AnyModels, prompt: str, steps: int, backend: str, size: Size
) -> tuple[Array, Array]:
    """A prompt that is too long is cut without a warning: what is compared reads the same of it."""
    make_denoiser = JoinedDenoiser if is_apples(bundle, names.DENOISER) else Denoiser
    bundle = as_called(bundle)
    backends = stage_backends(backend, dict.fromkeys(STAGES, names.AUTO))
    plan = make_plan(
        bundle, GenerationRequest(prompt, steps=steps, seed=0, size=(size.width, size.height)), backends
    )
    schedule = _schedule(bundle, steps, size)
    text = TextEncoders(bundle)
    prompts = (*((plan.settings.negative_prompt,) if plan.guided else ()), plan.settings.prompt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PromptCutWarning)
        rows = [text.encode(each, plan, models) for each in prompts]
    denoiser, latents = make_denoiser(bundle, models, plan, schedule, rows), plan.latents
    for index in range(schedule.steps):
        velocity = denoiser.velocity(latents, index)
        latents = euler_step(latents, velocity, schedule.sigmas[index], schedule.sigmas[index + 1])
    return latents, Autoencoder(bundle, models, backend, plan.size).decode(latents)


def _schedule(bundle: Bundle, steps: int, size: Size) -> SigmaSchedule:
    latent = bundle.latent_at(size.width, size.height)
    return bundle_schedule(bundle.schedule, steps, latent.height * latent.width)


def calls_of(bundle: Bundle, name: str, recording: Recording) -> list[Call]:
    """The recorded calls of the component `name`, as `bundle` takes them."""
    calls = recording.calls[name]
    if name != names.DENOISER or not is_apples(bundle, name):
        return calls
    # A call of the modulation for each of the denoiser's, in the same order; each step has as many.
    modulations = recording.calls[names.MODULATION]
    timesteps = np.repeat(recording.timesteps, len(calls) // len(recording.timesteps))
    return [
        Call(
            {**call.inputs, names.MODULATION_ROWS: joined_rows(timestep, before.inputs[names.POOLED])},
            call.outputs,
        )
        for call, before, timestep in zip(calls, modulations, timesteps, strict=True)
    ]


def replay(
    bundle: Bundle, component: str, calls: list[Call], backend: str, size: Size
) -> list[Mapping[str, Array]]:
    """The outputs of the bundle's component on inputs that were recorded at `size`, float32."""
    models = AnyModels(bundle)
    try:
        return [models.run(component, backend, call.inputs, size) for call in calls]
    finally:
        models.close()
