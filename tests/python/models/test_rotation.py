"""The rotation of FLUX.1's queries and keys."""

from typing import Any

import numpy as np

from tintype.models.rotation import rotary_tables

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
