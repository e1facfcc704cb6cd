"""Picking one token of a sequence by the ids that it came from.

Shape key: S tokens, C channels.
"""

import numpy as np

from ..weight import Array
from .attention import channel_product
from .basic import argmax, cast, equal, mul, reshape
from .graph import Graph, Var
from .linear import affine, gather

__all__ = ["first_match"]


def first_match(g: Graph, x: Var, ids: Var, value: int) -> Var:
    """The token at the first position where `ids` (1, S) is `value`: tokens of batch 1 → a vector."""
    return _by_product(g, x, ids, value) if g.channels_first else _by_index(g, x, ids, value)


def _by_index(g: Graph, x: Var, ids: Var, value: int) -> Var:
    """Multiplying the hits by a falling ramp leaves one largest element, the first: arg-max never meets a
    tie, whose result Core ML does not define."""
    tokens, width = int(x.shape[1]), int(x.shape[2])
    ramp = g.computed("ramp", (1, tokens), g.float, lambda: np.arange(tokens, 0, -1, dtype=np.float32)[None])
    hits = equal(g, ids, value, name="is_end")
    score = mul(g, cast(g, hits, g.float, name="hits"), ramp, name="score")
    index = argmax(g, score, 1, name="first_end")  # (1,)
    rows = reshape(g, x, (tokens, width), name="rows")  # (S, C)
    return gather(g, rows, index, name="end_state")


def _by_product(g: Graph, x: Var, ids: Var, value: int) -> Var:
    """Indices leave the Neural Engine; a product with a one-hot column does not, and it is as exact.

    A hit is the first if the number of hits before it is 0, so the column is hit·relu(1 − hits before it).
    """
    tokens = int(x.shape[3])

    def before() -> Array:
        return np.tril(np.full((tokens, tokens), -1, np.float32), -1).reshape(tokens, tokens, 1, 1)

    hits = cast(g, equal(g, ids, value, name="is_end"), g.float, name="hits")
    hits = reshape(g, hits, (1, tokens, 1, 1), name="hit_column")  # (1, S, 1, 1)
    weight = g.computed("hits_before", (tokens, tokens, 1, 1), g.float, before)
    ones = g.computed("ones", (tokens,), g.float, lambda: np.ones(tokens, np.float32))
    first = g.op("relu", x=affine(g, hits, weight, ones, name="earlier"), name="is_first")
    column = mul(g, hits, first, name="one_hot")  # (1, S, 1, 1)
    return channel_product(g, x, column, name="end_state")  # (1, C, 1, 1)
