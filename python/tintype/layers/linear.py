"""Layers with a weight matrix: linear, convolution, embedding."""

from typing import Any

import numpy as np

from .graph import Graph, Var
from .tokens import channel_axis

__all__ = ["affine", "conv2d", "embedding", "gather", "linear", "scaled_bias"]


def linear(
    g: Graph,
    x: Var,
    name: str,
    features: int,
    *,
    bias: bool = True,
    bias_row: Var | None = None,
    exact: bool = False,
    output: str | None = None,
) -> Var:
    """x·Wᵀ + b over the channels of tokens or vectors, with `name`.weight (features, in) and `name`.bias.

    `bias_row` (features) takes the place of `name`.bias. An `exact` layer is never compressed. For the
    Neural Engine the layer is a 1×1 convolution: (B, in, 1, S) → (B, features, 1, S).
    """
    dtype, axis = g.dtype(x), channel_axis(g, x)
    shape = (features, int(x.shape[axis]))
    view = (*shape, 1, 1) if g.channels_first else None
    weight = g.weight(f"{name}.weight", shape, dtype, view)
    if exact:
        g.exact.add(weight.name)
    if bias_row is None and bias:
        bias_row = g.weight(f"{name}.bias", (features,), dtype)
    return affine(g, x, weight, bias_row, name=name, output=output)


def affine(g: Graph, x: Var, weight: Var, bias: Var | None, *, name: str, output: str | None = None) -> Var:
    """`linear` with constants that the caller made: `weight` (features, in), or (features, in, 1, 1) for the
    Neural Engine, `bias` (features) or None."""
    if g.channels_first:
        return _conv(g, x, weight, bias, name=name, output=output)
    if bias is None:
        bias = g.zeros(int(weight.shape[0]), g.dtype(x))
    return g.op("linear", x=x, weight=weight, bias=bias, name=name, output=output)


def conv2d(
    g: Graph,
    x: Var,
    name: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    scale: float = 1,
    output: str | None = None,
) -> Var:
    """Convolution: (B, in, H, W) → (B, channels, H', W'), `name`.weight (channels, in, k, k), `name`.bias.

    Where x is multiplied by `scale`, so is the bias, and with it what comes out.
    """
    dtype = g.dtype(x)
    weight = g.weight(f"{name}.weight", (channels, int(x.shape[1]), kernel, kernel), dtype)
    bias = scaled_bias(g, name, channels, dtype, scale)
    return _conv(g, x, weight, bias, stride=stride, padding=padding, name=name, output=output)


def scaled_bias(g: Graph, name: str, features: int, dtype: np.dtype[Any], scale: float) -> Var:
    """`name`.bias (features) times `scale`, for a layer whose input is multiplied by it."""
    if scale == 1:
        return g.weight(f"{name}.bias", (features,), dtype)
    bias = g.source(f"{name}.bias", (features,))
    return g.computed(f"{name}.bias", (features,), dtype, lambda: bias.array(np.float32) * np.float32(scale))


def _conv(
    g: Graph,
    x: Var,
    weight: Var,
    bias: Var | None,
    *,
    stride: int = 1,
    padding: int = 0,
    name: str,
    output: str | None,
) -> Var:
    optional = {} if bias is None else {"bias": bias}
    return g.op(
        "conv",
        x=x,
        weight=weight,
        **optional,
        strides=g.const([stride, stride], "strides", np.int32),
        pad_type=g.text("custom", "pad_type"),
        pad=g.const([padding] * 4, "pad", np.int32),
        dilations=g.const([1, 1], "dilations", np.int32),
        groups=g.const(1, "groups", np.int32),
        name=name,
        output=output,
    )


def embedding(
    g: Graph, ids: Var, name: str, rows: int, width: int, dtype: np.dtype[Any] | None = None
) -> Var:
    """Rows of the table `name`.weight (rows, width): int32 ids (…) → (…, width)."""
    table = g.weight(f"{name}.weight", (rows, width), dtype or g.float)
    return gather(g, table, ids, name=name)


def gather(g: Graph, x: Var, indices: Var, *, name: str | None = None) -> Var:
    """x[indices] along axis 0."""
    return g.op(
        "gather",
        x=x,
        indices=indices,
        axis=g.const(0, "axis", np.int32),
        batch_dims=g.const(0, "batch_dims", np.int32),
        validate_indices=g.flag(False, "validate_indices"),
        name=name,
    )
