"""Rotary position embedding (Su et al. 2021) with constant tables, in the layout of the target.

Shape key: B batch, S tokens, H heads, d width of a head.
"""

from collections.abc import Callable

from ..weight import Array
from .basic import add, concat, mul, reshape, split
from .graph import Graph, Var

__all__ = ["rotary", "rotary_table"]


def rotary_table(g: Graph, name: str, shape: tuple[int, int], make: Callable[[], Array]) -> Var:
    """A constant of `shape` (S, d), which `make` gives as float32, for `rotary`."""
    tokens, width = shape
    if not g.channels_first:
        return g.computed(name, (1, tokens, 1, width), g.float, lambda: make()[None, :, None])
    return g.computed(name, (1, 1, width, tokens), g.float, lambda: make().T[None, None])


def rotary(g: Graph, x: Var, heads: int, cos: Var, sin: Var, *, name: str) -> Var:
    """Rotate the pairs (i, i + d/2) of every head, on what `split_heads` gives.

    The tables are `rotary_table`s: `cos` is [c, c] and `sin` is [−s, s] of the d/2 angles.
    """
    with g.scope(name):
        if not g.channels_first:
            return _turned(g, x, cos, sin, 3)
        batch, channels, _, tokens = (int(n) for n in x.shape)
        x = reshape(g, x, (batch, heads, channels // heads, tokens), name="split")  # (B, H, d, S)
        x = _turned(g, x, cos, sin, 2)
        return reshape(g, x, (batch, channels, 1, tokens), name="merge")  # (B, H·d, 1, S)


def _turned(g: Graph, x: Var, cos: Var, sin: Var, axis: int) -> Var:
    first, second = split(g, x, 2, axis, name="halves")
    swapped = concat(g, (second, first), axis, name="swapped")
    turned = mul(g, swapped, sin, name="sine")
    return add(g, mul(g, x, cos, name="cosine"), turned, name="sum")
