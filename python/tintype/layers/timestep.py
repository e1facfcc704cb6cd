"""The sinusoidal features of a timestep inside a graph: for models whose callers do not compute them."""

import numpy as np

from ..sinusoid import WIDTH, frequencies
from .basic import concat, expand_dims, mul
from .graph import Graph, Var

__all__ = ["timestep_features"]


def timestep_features(g: Graph, timestep: Var) -> Var:
    """[cos(t·f), sin(t·f)]: float32 (B,) → float32 (B, 256), those of `sinusoid.timestep_features`.

    They are float32 in every package: float16 holds a timestep above 512 only to halves.
    """
    freqs = g.computed("frequencies", (1, WIDTH // 2), np.float32, lambda: frequencies()[None])
    angle = mul(g, expand_dims(g, timestep, (1,), name="column"), freqs, name="angle")  # (B, 128)
    return concat(g, (g.op("cos", x=angle), g.op("sin", x=angle)), -1, name="sinusoid")
