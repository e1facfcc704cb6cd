"""The features of a timestep, and of an embedded guidance scale, that the modulation takes.

A leaf module between `pipeline`, which computes them for every step, and `models`. It imports NumPy only. The
Swift package's is `Generation/Run/Sinusoid.swift`; the definition is docs/bundle_format.md.
"""

import math
from typing import Any, Final

import numpy as np

__all__ = ["MOST_GUIDANCE", "WIDTH", "frequencies", "guidance_features", "timestep_features"]

Array = np.ndarray[Any, Any]

#: Features of a number: a cosine and a sine for each frequency.
WIDTH: Final = 256

MAX_PERIOD: Final = 10000.0

#: FLUX embeds a guidance scale times this, as it does σ.
GUIDANCE_FACTOR: Final = 1000.0

#: The largest guidance scale whose angles float32 holds.
MOST_GUIDANCE: Final = 1e35


def frequencies() -> Array:
    """10000^(−i / 128) for i < 128, float32; the exponents are rounded step by step as diffusers does it."""
    half = WIDTH // 2
    exponents = np.float32(-math.log(MAX_PERIOD)) * np.arange(half, dtype=np.float32) / np.float32(half)
    rounded: Array = np.exp(exponents.astype(np.float64)).astype(np.float32)
    return rounded


def timestep_features(timesteps: Array) -> Array:
    """[cos(t·f), sin(t·f)]: float32 (B,) → float32 (B, 256).

    diffusers' `Timesteps` with flip_sin_to_cos and no frequency shift, whose angles are float32. Cosines and
    sines are float64's, rounded once: the same on every machine.
    """
    angles = (timesteps.astype(np.float32)[:, None] * frequencies()).astype(np.float64)  # (B, 128)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)  # (B, 256)
    return waves.astype(np.float32)


def guidance_features(scales: Array) -> Array:
    """Those of guidance scales, at most `MOST_GUIDANCE`: float32 (B,) → float32 (B, 256)."""
    return timestep_features(scales.astype(np.float32) * np.float32(GUIDANCE_FACTOR))
