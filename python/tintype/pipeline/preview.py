"""Colours for latents without a decoder: each latent pixel's channels, by a linear map, give one pixel.

The map is fitted by least squares to the bundle's own decoder, once: it decodes random latents, and every
latent pixel with the mean colour of the pixels that came of it is one observation. So any model has previews,
its latent space known or not.
"""

import math
from typing import Any

import numpy as np
from PIL import Image

from ..bundle import Latent
from .image import to_image
from .noise import PhiloxRandom

__all__ = ["LatentProjection"]

Array = np.ndarray[Any, Any]

#: Sides of the probe's squares of one colour.
GRAINS = (1, 2, 4)
#: Keeps the map sane where a latent is too small for as many channels.
DAMPING = 1e-3


class LatentProjection:
    """`factors`: float32 [3, C + 1], for red, green and blue a factor a channel and last a constant."""

    def __init__(self, factors: Array) -> None:
        self.factors = factors

    @classmethod
    def fitted(cls, latents: Array, decoded: Array) -> "LatentProjection":
        """Of latents [1, C, h, w] in model space and what was decoded of them, [1, 3, h·side, w·side]."""
        channels, height, width = latents.shape[1:]
        side = decoded.shape[2] // height
        colours = decoded.reshape(3, height, side, width, side).mean(axis=(2, 4), dtype=np.float64)
        ones = np.ones((1, height * width))
        rows = np.concatenate([latents.reshape(channels, -1).astype(np.float64), ones])  # [C + 1, h·w]
        squares = rows @ rows.T + DAMPING * height * width * np.eye(channels + 1)
        return cls(np.linalg.solve(squares, rows @ colours.reshape(3, -1).T).T.astype(np.float32))

    def image(self, latents: Array) -> Image.Image:
        """The latents, [1, C, h, w], as a picture of w x h pixels."""
        planes = np.einsum("kc,chw->khw", self.factors[:, :-1], latents[0])
        return to_image((planes + self.factors[:, -1, np.newaxis, np.newaxis])[np.newaxis])


def probe(latent: Latent) -> Array:
    """Random latents to fit with, float32 [1, C, h, w]: noise of three grains, so that smooth areas and edges
    both count."""
    random = PhiloxRandom(0)
    total = np.zeros((latent.channels, latent.height, latent.width))
    for grain in GRAINS:
        rows, columns = -(-latent.height // grain), -(-latent.width // grain)
        noise = random.normals(latent.channels * rows * columns).reshape(latent.channels, rows, columns)
        large = noise.repeat(grain, axis=1).repeat(grain, axis=2)
        total += large[:, : latent.height, : latent.width] / math.sqrt(len(GRAINS))
    return total[np.newaxis].astype(np.float32)
