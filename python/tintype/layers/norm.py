"""Normalisations: layer, RMS and group norm."""

from typing import Any

import numpy as np

from .basic import add, cast, mul, reshape
from .graph import Graph, Var

__all__ = ["group_norm", "layer_norm", "rms_norm"]


def layer_norm(
    g: Graph, x: Var, name: str, epsilon: float, *, affine: bool = True, output: str | None = None
) -> Var:
    """(x − mean) / √(var + ε) over the last axis, times `name`.weight plus `name`.bias when `affine`."""
    dtype, width = g.dtype(x), int(x.shape[-1])
    weights = {}
    if affine:
        weights["gamma"] = g.weight(f"{name}.weight", (width,), dtype)
        weights["beta"] = g.weight(f"{name}.bias", (width,), dtype)
    return g.op(
        "layer_norm",
        x=x,
        axes=g.const([-1], "axes", np.int32),
        epsilon=g.const(dtype.type(epsilon), "epsilon", dtype),
        name=name,
        output=output,
        **weights,
    )


def rms_norm(
    g: Graph,
    x: Var,
    name: str,
    epsilon: float,
    dtype: np.dtype[Any] | None = None,
    *,
    output: str | None = None,
) -> Var:
    """x / √(mean(x²) + ε) over the last axis, times `name`.weight (Zhang and Sennrich 2019).

    Squares are summed in float32 whatever x is, since float16 overflows at 256²; the normalised value, of the
    order of 1, is rounded to `dtype` (x's if None) before the weight.
    """
    wide = cast(g, x, np.float32, name=f"{name}.wide")
    mean = g.op(
        "reduce_mean",
        x=mul(g, wide, wide, name=f"{name}.square"),
        axes=g.const([-1], "axes", np.int32),
        keep_dims=g.flag(True, "keep_dims"),
        name=f"{name}.mean",
    )
    scale = g.op(
        "rsqrt", x=mean, epsilon=g.const(np.float32(epsilon), "epsilon", np.float32), name=f"{name}.rsqrt"
    )
    out = cast(g, mul(g, wide, scale, name=f"{name}.unit"), dtype or g.dtype(x), name=f"{name}.narrow")
    weight = g.weight(f"{name}.weight", (int(x.shape[-1]),), g.dtype(out))
    return mul(g, out, weight, name=name, output=output)


def group_norm(g: Graph, x: Var, name: str, groups: int, epsilon: float) -> Var:
    """Group norm of (B, C, H, W) in `groups` groups of channels, with `name`.weight (C) and `name`.bias (C).

    An instance norm of the groups laid out as channels: the fewest ops, and the best float16 error.
    """
    batch, channels, height, width = (int(n) for n in x.shape)
    dtype = g.dtype(x)
    grouped = (batch, groups, channels // groups * height, width)
    flat = reshape(g, x, grouped, name=f"{name}.groups")  # (B, C, H, W) → (B, G, C/G·H, W)
    unit = g.op(
        "instance_norm",
        x=flat,
        epsilon=g.const(dtype.type(epsilon), "epsilon", dtype),
        name=f"{name}.norm",
    )
    unit = reshape(g, unit, (batch, channels, height, width), name=f"{name}.channels")  # → (B, C, H, W)
    gamma = g.weight(f"{name}.weight", (channels,), dtype, view=(1, channels, 1, 1))
    beta = g.weight(f"{name}.bias", (channels,), dtype, view=(1, channels, 1, 1))
    return add(g, mul(g, unit, gamma, name=f"{name}.scale"), beta, name=name)
