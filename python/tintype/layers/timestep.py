"""The sinusoidal embedding of a timestep."""

import math

import numpy as np

from ..weight import Array
from .basic import concat, expand_dims, mul
from .graph import Graph, Var

__all__ = ["timestep_embedding", "timestep_frequencies"]


def timestep_frequencies(half: int, max_period: float = 10000.0) -> Array:
    """max_period^(−i / half) for i < half, float32, rounded step by step as diffusers does it."""
    exponent = np.float32(-math.log(max_period)) * np.arange(half, dtype=np.float32) / np.float32(half)
    frequencies: Array = np.exp(exponent, dtype=np.float32)
    return frequencies


def timestep_embedding(g: Graph, timestep: Var, channels: int = 256) -> Var:
    """[cos(t·f), sin(t·f)]: float32 (B,) → float32 (B, channels).

    diffusers' `Timesteps` with flip_sin_to_cos and no frequency shift. It stays in float32 in every package:
    float16 holds a timestep above 512 only to halves.
    """
    half = channels // 2
    freqs = g.computed("frequencies", (1, half), np.float32, lambda: timestep_frequencies(half)[None])
    angle = mul(g, expand_dims(g, timestep, (1,), name="column"), freqs, name="angle")  # (B, half)
    return concat(g, (g.op("cos", x=angle), g.op("sin", x=angle)), -1, name="sinusoid")
