"""The rotation of FLUX.1's queries and keys."""

from typing import Any

import numpy as np
import pytest

from tintype import weight
from tintype.models.rotation import HalvedPairs, rotary_tables
from tintype.weight import ComputedWeight

Array = np.ndarray[Any, Any]


def test_rotating_halves_is_rotating_neighbours() -> None:
    """q·k after our tables on reordered rows = q·k after the published rotation of neighbours."""
    rng = np.random.default_rng(0)
    tokens, grid, width = 3, (2, 5), 16
    q, k = rng.standard_normal((2, tokens + 10, width))
    cos, sin = (t.astype(np.float64) for t in rotary_tables((4, 6, 6), tokens, grid))

    def ours(x: Array) -> Array:
        halves = np.concatenate([x[:, ::2], x[:, 1::2]], 1)
        swapped = np.concatenate([halves[:, 8:], halves[:, :8]], 1)
        return halves * cos + swapped * sin

    def published(x: Array) -> Array:
        angles = np.arctan2(sin[:, 8:], cos[:, 8:])
        turned = (x[:, ::2] + 1j * x[:, 1::2]) * np.exp(1j * angles)
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)

    np.testing.assert_allclose(ours(q) @ ours(k).T, published(q) @ published(k).T, atol=1e-6)
    # Text is not turned; the second row's first column turns the row axis alone, by one radian at first.
    assert (cos[:tokens] == 1).all()
    assert (sin[:tokens] == 0).all()
    angles = np.arctan2(sin[tokens + 5, 8:], cos[tokens + 5, 8:])
    np.testing.assert_allclose(angles[2:5], 10000.0 ** -(np.arange(3) / 3), rtol=1e-6)
    assert (angles[[0, 1, 5, 6, 7]] == 0).all()


def test_rows_are_reordered_head_by_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three heads of four channels: whole, in pieces of a head, and any part."""
    monkeypatch.setattr(weight, "PIECE_ELEMENTS", 9)
    rows = np.arange(24, dtype=np.float32).reshape(12, 2)
    expected = rows[[0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11]]

    class Provider(dict[str, ComputedWeight]):
        def get(self, key: str, shape: Any = None) -> Any:
            return self[key]

    name = "blocks.0.attn.to_q.weight"
    halved = HalvedPairs(Provider({name: ComputedWeight(name, (12, 2), lambda: rows)}), 4).get(name, (12, 2))
    np.testing.assert_array_equal(halved.array(np.float16), expected)
    assert [piece.tolist() for piece in halved.chunks(np.float32)] == expected.reshape(3, 8).tolist()
    for begin, end in ((0, 24), (3, 5), (7, 17), (8, 16), (20, 99)):
        part = halved.elements(begin, end, np.float32)
        np.testing.assert_array_equal(part, expected.reshape(-1)[begin:end])
