"""The denoiser with its modulation: velocities of a latent under one or two prompts.

Shape key: B = batch of the packages (1 or 2), rows = prompts of a run ([negative, positive] under guidance,
else [positive]), R x W = modulation rows, P = width of the pooled text, C, h, w = the latent. A model that
embeds the guidance scale takes its features as an input of the modulation, and has one row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle
from ..sinusoid import guidance_features, timestep_features
from .conditioning import TextConditioning
from .schedule import SigmaSchedule, guide
from .settings import DENOISER_STAGE, Plan
from .stages import StageModels

__all__ = ["Denoiser", "batches"]

Array = np.ndarray[Any, Any]


def batches(rows: int, size: int) -> list[list[int]]:
    """Row numbers in groups of `size`; the last row fills up an incomplete group."""
    numbers = list(range(rows))
    groups = [numbers[i : i + size] for i in range(0, rows, size)]
    return [group + [group[-1]] * (size - len(group)) for group in groups]


class Denoiser:
    """One run's denoiser: the modulation of every step is computed when it is made, before the loop."""

    def __init__(
        self,
        bundle: Bundle,
        models: StageModels,
        plan: Plan,
        schedule: SigmaSchedule,
        rows: Sequence[TextConditioning],
    ) -> None:
        self._bundle = bundle
        self._models = models
        self._backend = plan.backends[DENOISER_STAGE]
        self._guidance = plan.settings.guidance_scale
        self._rows = rows
        self._size = plan.size
        batch = bundle.component(names.DENOISER).input(names.LATENT).shape[0]
        self._batches = batches(len(rows), batch)
        self._contexts = [np.concatenate([rows[r].context for r in group]) for group in self._batches]
        # [group] → [B, P]
        pooled = [np.concatenate([rows[r].pooled for r in group]) for group in self._batches]
        # [step][group] → [B, R, W]
        self._modulation = [[self.modulation(t, each) for each in pooled] for t in schedule.timesteps]

    def velocity(self, latents: Array, step: int) -> Array:
        """The guided velocity [1, C, h, w] of `latents` [1, C, h, w] at a step of the schedule."""
        found: dict[int, Array] = {}
        for group, context, modulation in zip(
            self._batches, self._contexts, self._modulation[step], strict=True
        ):
            outputs = self._models.run(
                names.DENOISER,
                self._backend,
                {
                    names.LATENT: np.repeat(latents, len(group), axis=0),  # [B, C, h, w]
                    names.CONTEXT: context,
                    names.MODULATION_ROWS: modulation,
                },
                self._size,
            )
            for place, row in enumerate(group):
                found.setdefault(row, outputs[names.VELOCITY][place : place + 1])
        if len(self._rows) == 1:
            return found[0]
        return guide(found[0], found[1], self._guidance)

    def modulation(self, timestep: float, pooled: Array) -> Array:
        """The modulation's rows [B, R, W] at a timestep, for a group's pooled text [B, P]."""
        batch = len(pooled)
        inputs = {
            names.TIMESTEP_FEATURES: timestep_features(np.full(batch, timestep, np.float32)),  # [B, 256]
            names.POOLED: pooled,
        }
        listed = {spec.name for spec in self._bundle.component(names.MODULATION).inputs}
        if names.GUIDANCE_FEATURES in listed:
            scales = np.full(batch, self._guidance, np.float32)
            inputs[names.GUIDANCE_FEATURES] = guidance_features(scales)  # [B, 256]
        return self._models.run(names.MODULATION, self._backend, inputs)[names.MODULATION_ROWS]
