"""Positions in FLUX.1: queries and keys of a token are turned by angles that depend on where it stands.

The checkpoint rotates neighbours, channels (2i, 2i + 1) of a head. The graph rotates halves, (i, i + d/2),
which needs no strides: the rows of the query and key weights are reordered when the package is written.
Queries and keys are reordered alike, so their products are the same. Angles depend on the size alone: they
are tables, computed in float64. Text tokens stand at position 0 and are not turned.

Shape key: S image tokens, T text tokens, H heads, d width of a head.
"""

import math
import re

import numpy as np
import numpy.typing as npt

from .. import layers as nn
from ..layers import Array, Graph, Var, Weight, WeightProvider
from ..weight import DerivedWeight

__all__ = ["HalvedPairs", "rotary_tables", "rotation"]

#: The base of the rotation's wavelengths.
THETA = 10000.0


class HalvedPairs:
    """A provider whose queries and keys pair channel i with i + d/2 of a head, instead of 2i with 2i + 1."""

    ROTATED = re.compile(r".*\.(?:(?:to_[qk]|add_[qk]_proj)\.(?:weight|bias)|norm_(?:added_)?[qk]\.weight)")

    def __init__(self, weights: WeightProvider, head_width: int) -> None:
        self._weights, self._head_width = weights, head_width

    def get(self, key: str, shape: tuple[int, ...]) -> Weight:
        """The weight `key`, its rows reordered if it makes queries or keys."""
        weight = self._weights.get(key, shape)
        if not self.ROTATED.fullmatch(key):
            return weight
        pairs = (-1, self._head_width // 2, 2, *shape[1:])  # (H, d/2, 2, in)

        def make(begin: int, end: int, dtype: npt.DTypeLike) -> Array:
            values = weight.elements(begin, end, dtype).reshape(pairs)
            halves: Array = values.swapaxes(1, 2).reshape(-1)  # (H, 2, d/2, in)
            return halves

        return DerivedWeight(weight.name, shape, self._head_width * math.prod(shape[1:]), make)

    def __contains__(self, key: object) -> bool:
        return key in self._weights


def rotary_tables(axes: tuple[int, ...], tokens: int, grid: tuple[int, int]) -> tuple[Array, Array]:
    """[cos, cos] and [−sin, sin] of every token's angles, text first: two float32 (T + S, d).

    diffusers' `FluxPosEmbed`: a token's position is (0, row, column), each turning its share of the pairs.
    """
    rows, columns = grid
    positions = np.zeros((tokens + rows * columns, 3))
    positions[tokens:, 1] = np.repeat(np.arange(rows), columns)
    positions[tokens:, 2] = np.tile(np.arange(columns), rows)
    angles = np.concatenate(
        [
            np.outer(positions[:, axis], THETA ** -(np.arange(0, width, 2) / width))
            for axis, width in enumerate(axes)
        ],
        axis=1,
    )  # (T + S, d/2)
    cos, sin = np.cos(angles), np.sin(angles)
    return (
        np.concatenate([cos, cos], 1).astype(np.float32),
        np.concatenate([-sin, sin], 1).astype(np.float32),
    )


def rotation(g: Graph, axes: tuple[int, ...], tokens: int, grid: tuple[int, int]) -> tuple[Var, Var]:
    """The tables of `rotary_tables` as constants."""
    shape = (tokens + grid[0] * grid[1], sum(axes))

    def table(index: int) -> Var:
        return nn.rotary_table(
            g,
            f"rotary.{('cos', 'sin')[index]}_{grid[0]}x{grid[1]}",
            shape,
            lambda: rotary_tables(axes, tokens, grid)[index],
        )

    return table(0), table(1)
