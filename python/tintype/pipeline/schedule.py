"""The flow-matching noise schedule and its Euler step: pure functions of numbers.

Shape key: N = steps. σ runs from 1 (noise) to 0 (image). The float32 roundings are those of diffusers'
FlowMatchEulerDiscreteScheduler, so that timesteps agree to the last bit that a model can see.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import names
from ..bundle import Schedule

__all__ = [
    "SigmaSchedule",
    "bundle_schedule",
    "dynamic_shift",
    "euler_step",
    "flow_match_schedule",
    "guide",
    "linear_schedule",
    "shifted",
]

Array = np.ndarray[Any, Any]

#: Latent pixels that make an image token, by which the dynamic shift counts.
PIXELS_A_TOKEN = 2 * 2


@dataclass(frozen=True)
class SigmaSchedule:
    """`sigmas`, float32 [N + 1], the last one 0; `timesteps` = 1000·σ, float32 [N]."""

    sigmas: Array
    timesteps: Array

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    def dropping(self, count: int) -> "SigmaSchedule":
        """Without its first `count` steps."""
        return SigmaSchedule(self.sigmas[count:], self.timesteps[count:])


def shifted(sigmas: Array, shift: float) -> Array:
    """s·τ / (1 + (s - 1)·τ): shift 1 changes nothing, larger ones spend more steps at high noise."""
    return np.asarray(shift * sigmas / (1 + (shift - 1) * sigmas))


def flow_match_schedule(steps: int, shift: float, train_timesteps: int = 1000) -> SigmaSchedule:
    """Stable Diffusion 3's schedule of N `steps`.

    The end points 1 and 1/`train_timesteps` are shifted once, N points are spaced linearly between them and
    shifted again. One step runs from σ = 1 to 0.
    """
    ends = shifted(np.asarray([1.0, 1.0 / train_timesteps], dtype=np.float32), shift)
    points = np.linspace(
        float(ends[0]) * train_timesteps, float(ends[1]) * train_timesteps, steps, dtype=np.float64
    )
    return _schedule(shifted(points / train_timesteps, shift), train_timesteps)


def linear_schedule(
    steps: int, *, shift: float = 1.0, mu: float | None = None, train_timesteps: int = 1000
) -> SigmaSchedule:
    """FLUX's schedule: N points from 1 down to 1/N, shifted exponentially by `mu`, or else by `shift`."""
    points = np.linspace(1.0, 1.0 / steps, steps, dtype=np.float64)
    if mu is None:
        points = shifted(points, shift)
    else:
        points = math.exp(mu) / (math.exp(mu) + (1 / points - 1))
    return _schedule(points, train_timesteps)


def dynamic_shift(
    image_tokens: int,
    *,
    base_tokens: int = 256,
    max_tokens: int = 4096,
    base_shift: float = 0.5,
    max_shift: float = 1.15,
) -> float:
    """FLUX.1-dev's `mu` for an image of so many tokens: linear between the base and the largest size."""
    slope = (max_shift - base_shift) / (max_tokens - base_tokens)
    return image_tokens * slope + base_shift - slope * base_tokens


def bundle_schedule(row: Schedule, steps: int, latent_pixels: int) -> SigmaSchedule:
    """The schedule that a bundle describes, for a latent of `latent_pixels` = h·w."""
    if row.kind == names.FLOW_MATCH_EULER:
        return flow_match_schedule(steps, row.shift, row.num_train_timesteps)
    if row.dynamic is None:
        return linear_schedule(steps, shift=row.shift, train_timesteps=row.num_train_timesteps)
    mu = dynamic_shift(
        latent_pixels // PIXELS_A_TOKEN,
        base_tokens=row.dynamic.base_image_seq_len,
        max_tokens=row.dynamic.max_image_seq_len,
        base_shift=row.dynamic.base_shift,
        max_shift=row.dynamic.max_shift,
    )
    return linear_schedule(steps, mu=mu, train_timesteps=row.num_train_timesteps)


def _schedule(sigmas: Array, train_timesteps: int) -> SigmaSchedule:
    rounded = sigmas.astype(np.float32)
    timesteps = rounded * np.float32(train_timesteps)
    return SigmaSchedule(np.append(rounded, np.float32(0.0)), timesteps)


def guide(negative: Array, positive: Array, scale: float) -> Array:
    """Classifier-free guidance, float32: negative + scale·(positive - negative)."""
    return np.asarray(negative + np.float32(scale) * (positive - negative))


def euler_step(latents: Array, velocity: Array, sigma: float, next_sigma: float) -> Array:
    """x + (σ_next - σ)·v, float32."""
    return np.asarray(latents + (np.float32(next_sigma) - np.float32(sigma)) * velocity)
