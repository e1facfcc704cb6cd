"""Residual streams that float16 cannot hold as they are.

With trained weights the streams of transformers, and what a block's MLP adds to them, pass 65504. Two ways
out, both exact: the stream is kept in float32, where the target has it, or it is kept divided by a power of
two, which the norms that read it do not see. The MLP's last layer overflows first, so its input and bias are
divided as well; the gate, one row, brings the two scales together, which costs nothing.

Shape key: B batch, S tokens, W width.
"""

from typing import Any, NamedTuple

import numpy as np

from .. import layers as nn
from ..layers import Graph, Var
from .adaln import Modulation

__all__ = ["Stream", "modulated", "output_norm"]


class Stream(NamedTuple):
    """How streams are kept: their dtype, the power of two that they are multiplied by, the one that branches
    which may overflow are multiplied by (both 1 in a float32 graph), and the norms' epsilon."""

    dtype: np.dtype[Any]
    scale: float
    branch_scale: float
    epsilon: float

    @classmethod
    def narrow(cls, g: Graph, scale: float, epsilon: float) -> "Stream":
        """In the graph's floats, scaled if those are float16."""
        scale = scale if g.float == np.float16 else 1
        return cls(g.float, scale, scale, epsilon)

    @classmethod
    def wide(cls, g: Graph, scale: float, epsilon: float) -> "Stream":
        """In float32; branches are scaled if the graph's floats are float16."""
        return cls(np.dtype(np.float32), 1, scale if g.float == np.float16 else 1, epsilon)

    @classmethod
    def of(cls, g: Graph, scale: float, epsilon: float) -> "Stream":
        """As the target has it: in float32 for a GPU, narrow for the Neural Engine."""
        kind = cls.narrow if g.target == "ane" else cls.wide
        return kind(g, scale, epsilon)

    def begin(self, g: Graph, x: Var, name: str) -> Var:
        """A stream that begins with the tokens x."""
        wide = nn.cast(g, x, self.dtype, name=f"{name}.stream")
        return nn.scaled(g, wide, self.scale, name=f"{name}.scaled_stream")

    def unit(self, g: Graph, x: Var, name: str) -> Var:
        """The layer norm of a stream, without weights: tokens to compute with. Epsilon is scaled like the
        variance."""
        y = nn.layer_norm(g, x, name, self.epsilon * self.scale**2, affine=False)
        return nn.cast(g, y, g.float, name=f"{name}.narrow")

    def norm(self, g: Graph, x: Var, name: str, shift: Var, scale: Var) -> Var:
        """norm(x)·scale + shift, where scale is 1 + scale already: a stream → tokens to compute with."""
        return modulated(g, self.unit(g, x, name), name, shift, scale)

    def branch(self, g: Graph, x: Var, name: str) -> Var:
        """x as `project` takes it."""
        return nn.scaled(g, x, self.branch_scale, name=f"{name}.scaled")

    def project(self, g: Graph, x: Var, name: str, features: int) -> Var:
        """The linear layer `name` from what `branch` gave to what `add` takes as `branched`."""
        bias = nn.scaled_bias(g, name, features, g.float, self.branch_scale)
        return nn.linear(g, x, name, features, bias_row=bias)

    def add(self, g: Graph, x: Var, y: Var, gate: Var, name: str, *, branched: bool = False) -> Var:
        """x + gate·y, where y is `branched` if `project` gave it: a stream."""
        factor = self.scale / self.branch_scale if branched else self.scale
        wide, gate = (
            nn.cast(g, v, self.dtype, name=f"{name}.{n}") for v, n in ((y, "wide"), (gate, "wide_gate"))
        )
        gate = nn.scaled(g, gate, factor, name=f"{name}.gate")
        return nn.add(g, x, nn.mul(g, wide, gate, name=f"{name}.gated"), name=f"{name}.residual")


def modulated(g: Graph, x: Var, name: str, shift: Var, scale: Var) -> Var:
    """x·scale + shift: tokens (B, S, W), rows (B, 1, W)."""
    return nn.add(g, nn.mul(g, x, scale, name=f"{name}.scaled"), shift, name=f"{name}.shifted")


def output_norm(g: Graph, stream: Stream, rows: Modulation, x: Var) -> Var:
    """The norm before the last projection: a stream (B, S, W) → tokens to compute with."""
    scale, shift = rows["norm_out"]
    return stream.norm(g, x, "norm_out.norm", shift, scale)
