"""Layers with a weight matrix: linear, convolution, embedding."""

from typing import Any

import numpy as np

from .graph import Graph, Var

__all__ = ["conv2d", "embedding", "gather", "linear"]


def linear(
    g: Graph, x: Var, name: str, features: int, *, bias: bool = True, output: str | None = None
) -> Var:
    """x·Wᵀ + b: (…, in) → (…, features), with `name`.weight (features, in) and `name`.bias."""
    dtype = g.dtype(x)
    weight = g.weight(f"{name}.weight", (features, int(x.shape[-1])), dtype)
    offset = g.weight(f"{name}.bias", (features,), dtype) if bias else g.zeros(features, dtype)
    return g.op("linear", x=x, weight=weight, bias=offset, name=name, output=output)


def conv2d(
    g: Graph,
    x: Var,
    name: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    output: str | None = None,
) -> Var:
    """Convolution: (B, in, H, W) → (B, channels, H', W'), `name`.weight (channels, in, k, k), `name`.bias."""
    dtype = g.dtype(x)
    return g.op(
        "conv",
        x=x,
        weight=g.weight(f"{name}.weight", (channels, int(x.shape[1]), kernel, kernel), dtype),
        bias=g.weight(f"{name}.bias", (channels,), dtype),
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
