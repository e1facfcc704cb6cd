"""Normalisations: layer, RMS and group norm."""

from typing import Any

import numpy as np

from .basic import add, cast, mul, reshape
from .graph import Graph, Var
from .tokens import channel_axis

__all__ = ["group_norm", "head_rms_norm", "layer_norm", "rms_norm"]

#: The smallest divisor in `scaled_rms_norm`, a power of two: below it x counts little beside epsilon.
FLOOR = 2**-6


def _representable(epsilon: float, dtype: "np.dtype[Any]") -> float:
    """An epsilon too small for `dtype` as its least positive value: 0 makes NaN of equal values."""
    return max(epsilon, float(np.finfo(dtype).smallest_subnormal))


def layer_norm(
    g: Graph, x: Var, name: str, epsilon: float, *, affine: bool = True, output: str | None = None
) -> Var:
    """(x − mean) / √(var + ε) over the channels, times `name`.weight plus `name`.bias when `affine`.

    An epsilon too small for x's dtype becomes its least positive value, as in `group_norm`.
    """
    dtype, axis = g.dtype(x), channel_axis(g, x)
    epsilon = _representable(epsilon, dtype)
    width = int(x.shape[axis])
    weights = {}
    if affine:
        weights["gamma"] = g.weight(f"{name}.weight", (width,), dtype)
        weights["beta"] = g.weight(f"{name}.bias", (width,), dtype)
    return g.op(
        "layer_norm",
        x=x,
        axes=g.const([axis if g.channels_first else -1], "axes", np.int32),
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
    """x / √(mean(x²) + ε) over the channels, times `name`.weight (Zhang and Sennrich 2019).

    On a GPU squares are summed in float32 whatever x is, since float16 overflows at 256²; the normalised
    value, of the order of 1, is rounded to `dtype` (x's if None) before the weight. For the Neural Engine,
    which has no float32, see `scaled_rms_norm`.
    """
    if g.channels_first:
        width = int(x.shape[1])
        weight = g.weight(f"{name}.weight", (width,), g.dtype(x), view=(1, width, 1, 1))
        return mul(g, scaled_rms_norm(g, x, name, epsilon, 1), weight, name=name, output=output)
    out = cast(g, wide_rms_norm(g, x, name, epsilon), dtype or g.dtype(x), name=f"{name}.narrow")
    weight = g.weight(f"{name}.weight", (int(x.shape[-1]),), g.dtype(out))
    return mul(g, out, weight, name=name, output=output)


def head_rms_norm(g: Graph, x: Var, heads: int, name: str, epsilon: float) -> Var:
    """`rms_norm` of every head by itself, on what `split_heads` gives; `name`.weight has a head's width."""
    if not g.channels_first:
        return rms_norm(g, x, name, epsilon)
    batch, channels, _, tokens = (int(n) for n in x.shape)
    width = channels // heads
    weight = g.weight(f"{name}.weight", (width,), g.dtype(x), view=(1, 1, width, 1))
    y = reshape(g, x, (batch, heads, width, tokens), name=f"{name}.split")  # (B, H, d, S)
    y = mul(g, scaled_rms_norm(g, y, name, epsilon, 2), weight, name=f"{name}.weighted")
    return reshape(g, y, (batch, channels, 1, tokens), name=name)  # (B, H·d, 1, S)


def wide_rms_norm(g: Graph, x: Var, name: str, epsilon: float) -> Var:
    """x / √(mean(x²) + ε) over the last axis, in float32."""
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
    return mul(g, wide, scale, name=f"{name}.unit")


def scaled_rms_norm(g: Graph, x: Var, name: str, epsilon: float, axis: int) -> Var:
    """x / √(mean(x²) + ε) over `axis`, without a float32 island and without overflow.

    With m = max|x| (at least FLOOR) and y = x / m, this is y / √(mean(y²) + (√ε / m)²): y is at most 1, so
    are its squares, and √ε is a normal float16 where ε is not.
    """
    dtype, axes = g.dtype(x), g.const([axis], "axes", np.int32)
    keep = g.flag(True, "keep_dims")
    size = g.op("abs", x=x, name=f"{name}.abs")
    peak = g.op("reduce_max", x=size, axes=axes, keep_dims=keep, name=f"{name}.max")
    peak = g.op("maximum", x=peak, y=g.const(dtype.type(FLOOR), "floor", dtype), name=f"{name}.peak")
    unit = g.op("real_div", x=x, y=peak, name=f"{name}.scaled")
    root = g.const(dtype.type(epsilon**0.5), "root_epsilon", dtype)
    offset = g.op("real_div", x=root, y=peak, name=f"{name}.root")
    square = mul(g, unit, unit, name=f"{name}.square")
    mean = g.op("reduce_mean", x=square, axes=axes, keep_dims=keep, name=f"{name}.mean")
    mean = add(g, mean, mul(g, offset, offset, name=f"{name}.epsilon"), name=f"{name}.variance")
    zero = g.const(dtype.type(0), "no_epsilon", dtype)
    return mul(g, unit, g.op("rsqrt", x=mean, epsilon=zero, name=f"{name}.rsqrt"), name=f"{name}.unit")


def group_norm(g: Graph, x: Var, name: str, groups: int, epsilon: float) -> Var:
    """Group norm of (B, C, H, W) in `groups` groups of channels, with `name`.weight (C) and `name`.bias (C).

    An instance norm of the groups laid out as channels: the fewest ops, and the best float16 error. An
    epsilon too small for x's dtype becomes its least positive value: 0 makes NaN of a group of equal values.
    """
    batch, channels, height, width = (int(n) for n in x.shape)
    dtype = g.dtype(x)
    epsilon = _representable(epsilon, dtype)
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
