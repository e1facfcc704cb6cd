"""Small pictures of latents without a decoder: a 3 x 3 convolution gives every latent pixel 2 x 2 pixels.

The convolution is fitted by least squares to the bundle's own decoder: shapes in the colours of the RGB
cube's corners go through the encoder and the decoder, and every latent pixel with its neighbours is an
observation. A map that is good at the corners is good between them, while noise lies where no picture does.
So any model has previews, its latent space known or not. `verify.record_previews` keeps the map in the
bundle; a run of a bundle without one fits it at the first use.

Shape key: C, h, w = the latent, k = the kernel's side, p = pixels a latent pixel, H, W = the picture.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..bundle import Latent
from ..errors import BundleError
from .image import to_image
from .noise import PhiloxRandom, philox
from .tensor_file import read_tensors, write_tensors

__all__ = ["LatentProjection", "fit_projection", "probe_latents", "probe_pictures"]

Array = np.ndarray[Any, Any]

KERNEL, PIXELS = 3, 2

#: Probes are made until they have this many latent pixels: some for each of the unknowns, KERNEL²·C + 1.
OBSERVATIONS = 2048
#: Latent pixels that the probe has a shape for, on average.
SHAPE_AREA = 20
#: Relative to latents of variance 1: keeps the map sane where channels say the same.
DAMPING = 3e-3
ROUNDING = 2.0**14
#: Sides of the squares of one value in a probe without an encoder.
GRAINS = (2, 4, 8)

WEIGHT, BIAS = "weight", "bias"
REMEDY = "fit it again with verify --previews"


class LatentProjection:
    """`weight` float32 [3·p², C, k, k] and `bias` float32 [3·p²]: a convolution with the latent's edges
    repeated, and a pixel shuffle of its channels (colour, row, column)."""

    def __init__(self, weight: Array, bias: Array) -> None:
        self.weight, self.bias = weight, bias

    @classmethod
    def fitted(cls, pairs: Iterable[tuple[Array, Array]]) -> "LatentProjection":
        """Of latents [1, C, h, w] in model space, each with what was decoded of it, [1, 3, H, W]."""
        squares: Any = 0.0
        products: Any = 0.0
        channels = 0
        for latents, decoded in pairs:
            channels = latents.shape[1]
            rows = _patches(latents[0].astype(np.float64), KERNEL)  # [C·k², h·w]
            rows = np.concatenate([rows, np.ones((1, rows.shape[1]))])
            squares = squares + rows @ rows.T
            products = products + rows @ _colours(decoded[0], latents.shape[2], latents.shape[3]).T
        damping = np.full(len(squares), DAMPING * squares[-1, -1])
        damping[-1] = 0  # the constant is free
        solved = np.linalg.solve(squares + np.diag(damping), products).T
        # Rounded far above float64's errors, so that the linear algebra's last bits do not show in a bundle.
        solved = (np.rint(solved * ROUNDING) / ROUNDING).astype(np.float32)
        weight = solved[:, :-1].reshape(-1, channels, KERNEL, KERNEL)
        return cls(np.ascontiguousarray(weight), np.ascontiguousarray(solved[:, -1]))

    @classmethod
    def read(cls, file: Path, channels: int) -> "LatentProjection":
        """From a bundle's file; BundleError if it is damaged or for another latent."""
        tensors = read_tensors(file, REMEDY)
        weight, bias = (tensors.get(n, np.empty(0)) for n in (WEIGHT, BIAS))
        pixels = math.isqrt(max(len(bias) // 3, 1))
        good = weight.ndim == 4 and weight.shape[1] == channels and weight.shape[2] == weight.shape[3]
        if not good or bias.shape != (3 * pixels**2,) or len(weight) != len(bias) or weight.shape[3] % 2 == 0:
            raise BundleError(
                f"{file} holds a weight of shape {list(weight.shape)} and a bias of shape "
                f"{list(bias.shape)}, expected [3·p², {channels}, k, k] with an odd k, and [3·p²]: {REMEDY}"
            )
        return cls(weight.astype(np.float32), bias.astype(np.float32))

    def write(self, file: Path) -> None:
        """Write `file`, whole or not at all."""
        write_tensors(file, {WEIGHT: self.weight, BIAS: self.bias})

    def image(self, latents: Array) -> Image.Image:
        """Latents [1, C, h, w] as a picture of w·p x h·p pixels."""
        height, width = latents.shape[2:]
        pixels = math.isqrt(len(self.bias) // 3)
        rows = _patches(latents[0], self.weight.shape[-1])  # [C·k², h·w]
        planes = self.weight.reshape(len(self.bias), -1) @ rows + self.bias[:, np.newaxis]
        shuffled = planes.reshape(3, pixels, pixels, height, width).transpose(0, 3, 1, 4, 2)
        return to_image(shuffled.reshape(1, 3, height * pixels, width * pixels))


def fit_projection(
    latent: Latent, decode: Callable[[Array], Array], encode: Callable[[Array], Array] | None
) -> LatentProjection:
    """The projection for pictures of the size that `latent` belongs to.

    `encode` makes latents [1, C, h, w] of pictures [1, 3, H, W] in [-1, 1], `decode` the reverse; without
    `encode` the probes are noise, which fits worse.
    """
    probes = probe_latents(latent) if encode is None else map(encode, probe_pictures(latent))
    return LatentProjection.fitted((latents, decode(latents)) for latents in probes)


def probe_pictures(latent: Latent) -> Iterator[Array]:
    """Discs and rectangles in the eight colours of the cube's corners, float32 [1, 3, H, W].

    All comes from Philox's words, by integers: shape i of picture j is the counter (i, j, 0, 0) with key 0,
    the first of them covers all. Words are the centre's column and row, both half extents, and the colour
    with the kind.
    """
    side = latent.downscale
    height, width = latent.height * side, latent.width * side
    shapes = 1 + max(1, latent.height * latent.width // SHAPE_AREA)
    for number in range(_probes(latent)):
        counter = np.zeros((4, shapes), dtype=np.uint64)
        counter[0], counter[1] = np.arange(shapes), number
        picture = np.empty((3, height, width), dtype=np.float32)
        for index, words in enumerate(philox(counter, (0, 0)).T.tolist()):
            x, y, size, kind = words
            colour = np.array([2 * (kind >> bit & 1) - 1 for bit in range(3)], np.float32)
            if index == 0:
                picture[:] = colour[:, np.newaxis, np.newaxis]
                continue
            half = [side // 2 + extent % (9 * side // 2) for extent in (size & 0xFFFF, size >> 16)]
            _paint(picture, colour, (x % width, y % height), half, round_=bool(kind >> 3 & 1))
        yield picture[np.newaxis]


def probe_latents(latent: Latent) -> Iterator[Array]:
    """Noise of variance 1 in large squares of one value, float32 [1, C, h, w]."""
    random = PhiloxRandom(0)
    for _ in range(_probes(latent)):
        total = np.zeros((latent.channels, latent.height, latent.width))
        for grain in GRAINS:
            rows, columns = -(-latent.height // grain), -(-latent.width // grain)
            noise = random.normals(latent.channels * rows * columns).reshape(latent.channels, rows, columns)
            large = noise.repeat(grain, axis=1).repeat(grain, axis=2)
            total += large[:, : latent.height, : latent.width] / math.sqrt(len(GRAINS))
        yield total[np.newaxis].astype(np.float32)


def _probes(latent: Latent) -> int:
    return -(-OBSERVATIONS // (latent.height * latent.width))


def _paint(picture: Array, colour: Array, centre: tuple[int, int], half: list[int], *, round_: bool) -> None:
    """A rectangle of these half extents, or a disc of the first as its radius."""
    (x, y), (right, down) = centre, (half[0], half[0] if round_ else half[1])
    left, top = max(x - right, 0), max(y - down, 0)
    box = picture[:, top : y + down + 1, left : x + right + 1]
    rows, columns = np.ogrid[: box.shape[1], : box.shape[2]]
    inside = (columns + left - x) ** 2 + (rows + top - y) ** 2 <= right**2
    box[:, inside if round_ else np.ones_like(inside)] = colour[:, np.newaxis]


def _patches(latents: Array, kernel: int) -> Array:
    """[C, h, w] → [C·k², h·w]: every pixel's neighbours, edges repeated."""
    margin = kernel // 2
    padded = np.pad(latents, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (kernel, kernel), axis=(1, 2)
    )  # [C, h, w, k, k]
    return np.asarray(windows.transpose(0, 3, 4, 1, 2).reshape(-1, latents.shape[1] * latents.shape[2]))


def _colours(decoded: Array, height: int, width: int) -> Array:
    """[3, H, W] → [3·p², h·w]: means of squares of pixels, clipped as a picture is."""
    downscale = decoded.shape[1] // height
    pixels = PIXELS if downscale % PIXELS == 0 else 1
    side = downscale // pixels
    squares = np.clip(decoded, -1, 1).reshape(3, height, pixels, side, width, pixels, side)
    means = squares.mean(axis=(3, 6), dtype=np.float64)  # [3, h, p, w, p]
    return np.asarray(means.transpose(0, 2, 4, 1, 3).reshape(-1, height * width))
