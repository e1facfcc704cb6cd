"""Adaptive layer norm as a model of its own: what the diffusion transformers' modulation has in common.

Every norm of an MMDiT is shifted, scaled and gated by vectors that depend on (timestep, pooled text) alone
(Peebles and Xie 2023, "adaLN"). A family lists its norms by checkpoint name with their number of rows; the
modulation computes all rows at once, (B, R, W), and the denoiser hands them to its norms. Scale rows hold
1 + scale: the 1 is added to the bias when the package is written, and the per-step graph needs no constant.

Shape key: B batch, R modulation rows, W width.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from .. import layers as nn
from .. import names
from ..layers import Array, Graph, Var

__all__ = ["ModulatedNorm", "Modulation", "embedder", "layout_rows", "make_layout", "modulation_output"]

#: Which rows of a modulated norm are scales, by the number of its rows.
SCALE_ROWS = {2: (0,), 3: (1,), 6: (1, 4), 9: (1, 4, 7)}


class ModulatedNorm(NamedTuple):
    """The rows [begin, begin + rows) of the modulation that belong to the norm `name`."""

    name: str
    begin: int
    rows: int


Layout = Mapping[str, ModulatedNorm]


def make_layout(norms: Iterable[tuple[str, int]]) -> Layout:
    """Norms, as (checkpoint name, rows), one after another."""
    layout, begin = {}, 0
    for name, rows in norms:
        layout[name] = ModulatedNorm(name, begin, rows)
        begin += rows
    return layout


def layout_rows(layout: Layout) -> int:
    """R: the number of modulation vectors."""
    return sum(norm.rows for norm in layout.values())


def embedder(g: Graph, x: Var, name: str, width: int) -> Var:
    """linear, SiLU, linear: (B, in), as inputs are → a vector (B, W)."""
    with g.scope(name):
        x = nn.vector_from_rows(g, x, name="rows")
        x = nn.activation(g, nn.linear(g, x, "linear_1", width), "silu")
        return nn.linear(g, x, "linear_2", width)


def modulation_output(g: Graph, x: Var, layout: Layout) -> Var:
    """All rows from the activated embedding: a vector (B, W) → the output `modulation` (B, R, W)."""
    batch, width = (int(n) for n in x.shape[:2])
    rows = nn.concat(g, [modulate(g, x, norm) for norm in layout.values()], 1, name="rows")  # (B, R·W)
    shape = (batch, layout_rows(layout), width)
    return nn.reshape(g, rows, shape, output=names.MODULATION_ROWS)  # (B, R, W)


def modulate(g: Graph, x: Var, norm: ModulatedNorm) -> Var:
    """The norm's rows side by side: vectors (B, W) → (B, rows·W), with 1 added to the scales by the bias."""
    width = int(x.shape[1])
    features = norm.rows * width
    bias = g.source(f"{norm.name}.linear.bias", (features,))

    def make() -> Array:
        rows = bias.array(np.float32).reshape(norm.rows, width).copy()  # (rows·W,) → (rows, W)
        rows[list(SCALE_ROWS[norm.rows])] += 1
        flat: Array = rows.reshape(features)  # (rows·W,)
        return flat

    row = g.computed(f"{norm.name}.linear.bias", (features,), g.dtype(x), make)
    return nn.linear(g, x, f"{norm.name}.linear", features, bias_row=row)


class Modulation:
    """Hands out the rows of a norm (by its name in the current scope), each one token (B, 1, W)."""

    def __init__(self, g: Graph, rows: Var, layout: Layout) -> None:
        self._g, self._layout = g, layout
        self._rows = nn.tokens_from_rows(g, rows, name="modulation")

    def __getitem__(self, name: str) -> tuple[Var, ...]:
        norm = self._layout[self._g.key(name)]
        with self._g.scope(name):
            part = nn.slice_tokens(self._g, self._rows, norm.begin, norm.begin + norm.rows, name="rows")
            return nn.split_tokens(self._g, part, norm.rows, name="row")
