"""The last projection of a diffusion transformer: tokens to patches of the latent.

Shape key: B batch, S tokens = (h/p)·(w/p), W width, C latent channels, h × w latent, p patch.
"""

import numpy as np

from ..weight import Array, Weight
from .basic import pixel_shuffle, reshape, transpose
from .graph import Graph, Var
from .linear import affine, linear

__all__ = ["project_patches"]


def project_patches(
    g: Graph, x: Var, name: str, patch: int, channels: int, latent: tuple[int, int], *, output: str
) -> Var:
    """linear W → p·p·C, and every token's values in the order (row, column, C) to their place in the latent.

    Tokens (B, S, W) → (B, C, h, w). `latent` is (h, w).
    """
    if g.channels_first:
        return _shuffled(g, x, name, patch, channels, latent, output)
    x = linear(g, x, name, patch**2 * channels, exact=True)  # (B, S, p·p·C)
    batch, rows, columns = int(x.shape[0]), latent[0] // patch, latent[1] // patch
    shape = (batch * rows, columns, patch, patch * channels)
    x = reshape(g, x, shape, name="patches")  # (B·h/p, w/p, p, p·C)
    x = transpose(g, x, (0, 2, 1, 3), name="lines")  # (B·h/p, p, w/p, p·C)
    x = reshape(g, x, (batch, *latent, channels), name="pixels")  # (B, h, w, C)
    return transpose(g, x, (0, 3, 1, 2), output=output)  # (B, C, h, w)


def _shuffled(
    g: Graph, x: Var, name: str, patch: int, channels: int, latent: tuple[int, int], output: str
) -> Var:
    """The projection's rows are sorted (C, row, column) when the package is written: what is left is a pixel
    shuffle, and channels never become the last axis."""
    batch, width, dtype = int(x.shape[0]), int(x.shape[1]), g.dtype(x)
    features = patch**2 * channels
    weight = g.source(f"{name}.weight", (features, width))
    bias = g.source(f"{name}.bias", (features,))

    def sort(rows: Weight, shape: tuple[int, ...]) -> Array:
        cube = rows.array(np.float32).reshape(patch * patch, channels, -1)
        return np.ascontiguousarray(cube.transpose(1, 0, 2)).reshape(shape)  # (p·p, C, ·) → (C, p·p, ·)

    kernel = (features, width, 1, 1)
    x = affine(
        g,
        x,
        g.computed(f"{name}.weight", kernel, dtype, lambda: sort(weight, kernel)),
        g.computed(f"{name}.bias", (features,), dtype, lambda: sort(bias, (features,))),
        name=name,
    )  # (B, C·p·p, 1, S)
    grid = (batch, features, latent[0] // patch, latent[1] // patch)
    return pixel_shuffle(g, reshape(g, x, grid, name="patches"), patch, output=output)  # (B, C, h, w)
