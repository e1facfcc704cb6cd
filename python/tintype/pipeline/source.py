"""A picture that a run begins with instead of noise alone, and which part of it is drawn anew.

The rules are docs/bundle_format.md, "Beginning with a picture".
Shape key: C, h, w = the latent, H, W = the picture.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .. import names
from ..bundle import Bundle, Latent, Size
from ..errors import UsageError
from ..run.pictures import PictureError, load_picture, pixels_of_picture, upright
from ..values import finite
from .request import GenerationRequest

__all__ = ["DEFAULT_STRENGTH", "RESIZINGS", "ImageSource", "LatentSource", "checked_source", "pixels_of"]

Array = np.ndarray[Any, Any]

DEFAULT_STRENGTH = 0.6

FILL, STRETCH = RESIZINGS = ("fill", "stretch")


@dataclass(frozen=True, eq=False)
class ImageSource:
    """`image` and `mask` (white: drawn anew), uint8 [H, W, 3]; `strength`, above 0 up to 1."""

    image: Array
    mask: Array | None
    strength: float

    def first_step(self, steps: int) -> int:
        """How many of `steps` are left out, as diffusers counts them; at least one is run."""
        return min(int(max(steps - min(steps * self.strength, steps), 0)), steps - 1)

    def normalized(self) -> Array:
        """As a VAE's encoder reads it: float32 [1, 3, H, W], 2·x/255 - 1."""
        values = np.float32(2) * (self.image.astype(np.float32) / np.float32(255)) - np.float32(1)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


@dataclass(frozen=True, eq=False)
class LatentSource:
    """The source in the model's latent space: `latents` float32 [1, C, h, w]; `mask` float32 [h, w], 1 is
    drawn anew, 0 stays, what lies between is mixed; None: all is drawn anew."""

    latents: Array
    mask: Array | None

    @classmethod
    def encoded(cls, encode: Callable[[Array], Array], source: ImageSource, latent: Latent) -> "LatentSource":
        """By `encode`: a picture [1, 3, H, W] in [-1, 1] → its latents [1, C, h, w]."""
        mask = None if source.mask is None else coverage(source.mask, latent.downscale)
        return cls(encode(source.normalized()), mask)

    def noised(self, noise: Array, sigma: float) -> Array:
        """The source under noise of level σ, float32 [1, C, h, w]."""
        level = np.float32(sigma)
        return np.asarray(level * noise + (np.float32(1) - level) * self.latents)

    def kept(self, drawn: Array, noise: Array, sigma: float) -> Array:
        """What a step has drawn inside the mask, the source at the step's noise level outside."""
        if self.mask is None:
            return drawn
        return np.asarray((np.float32(1) - self.mask) * self.noised(noise, sigma) + self.mask * drawn)


def coverage(mask: Array, side: int) -> Array:
    """The mean brightness, 0…1, of squares of `side` pixels: uint8 [H, W, 3] → float32 [H/side, W/side]."""
    rows, columns = mask.shape[0] // side, mask.shape[1] // side
    squares = mask[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    sums = squares.sum(axis=(1, 3, 4), dtype=np.int64)
    return np.asarray(sums.astype(np.float32) / np.float32(3 * 255 * side * side))


def checked_source(bundle: Bundle, request: GenerationRequest, size: Size) -> ImageSource | None:
    """The request's picture, mask and strength; UsageError; BundleError for a bundle without the encoder."""
    if request.image is None:
        for name in ("mask", "resize", "strength"):
            if getattr(request, name) is not None:
                raise UsageError(f"{name} has no influence without image: name the picture to begin with")
        return None
    strength = DEFAULT_STRENGTH if request.strength is None else finite(request.strength)
    if strength is None or not 0 < strength <= 1:
        raise UsageError(
            f"strength is {request.strength!r}, expected a number above 0 up to 1 (1 begins with noise alone)"
        )
    bundle.component(names.VAE_ENCODER)
    image = pixels_of("image", request.image)
    mask = None if request.mask is None else pixels_of("mask", request.mask)
    return ImageSource(*_sized(image, mask, request.resize, bundle, size), strength)


def pixels_of(name: str, value: Any) -> Array:
    """A PIL image, a file's path or a uint8 array ([H, W], [H, W, 3], [H, W, 4]) as uint8 [H, W, 3].

    Pictures are turned as their EXIF orientation says; transparency is dropped, as Swift's decoder does.
    """
    if isinstance(value, str | os.PathLike):
        try:
            picture = load_picture(value)
        except PictureError as error:
            raise UsageError(f"{name} is {str(value)!r}, which {error}: name a PNG or JPEG file") from error
        value = picture
    if isinstance(value, Image.Image):
        try:
            return pixels_of_picture(upright(value), "RGB")
        except PictureError as error:
            raise UsageError(f"{name} {error}") from error
    array = np.asarray(value)
    good = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not good or 0 in array.shape:
        raise UsageError(
            f"{name} is {array.dtype} of shape {array.shape}, expected a PIL image, the path of a picture, "
            "or a uint8 array of shape (height, width), (height, width, 3) or (height, width, 4)"
        )
    return np.ascontiguousarray(np.stack([array] * 3, axis=-1) if array.ndim == 2 else array[..., :3])


def _sized(
    image: Array, mask: Array | None, resize: Any, bundle: Bundle, size: Size
) -> tuple[Array, Array | None]:
    """Picture and mask in the run's size."""
    if resize not in (None, *RESIZINGS):
        raise UsageError(f"resize is {resize!r}, expected {' or '.join(map(repr, RESIZINGS))}, or None")
    height, width = image.shape[:2]
    if resize is None and (width, height) != (size.width, size.height):
        known = any((width, height) == (s.width, s.height) for s in bundle.sizes)
        remedy = "" if known else ", which the model must be converted for"
        raise UsageError(
            f"the image is {width}x{height}, but {bundle.name} draws {size.width}x{size.height}: "
            f"have it resized (fill or stretch), or ask for size {width}x{height}{remedy}"
        )
    if mask is not None and mask.shape != image.shape:
        raise UsageError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]}, but the image is {width}x{height}: "
            "scale or crop the mask"
        )
    if resize is None:
        return image, mask
    return resized(image, size, resize), None if mask is None else resized(mask, size, resize)


def resized(pixels: Array, size: Size, how: str) -> Array:
    """uint8 [H, W, 3] in another size, by Lanczos; "fill" first cuts off what is too wide or too high."""
    picture = Image.fromarray(pixels)
    if how == FILL:
        width, height = picture.size
        columns = min(width, _part(height, size.width, size.height))
        rows = min(height, _part(width, size.height, size.width))
        left, top = (width - columns) // 2, (height - rows) // 2
        picture = picture.crop((left, top, left + columns, top + rows))
    return np.array(picture.resize((size.width, size.height), Image.Resampling.LANCZOS))


def _part(length: int, numerator: int, denominator: int) -> int:
    """`length`·`numerator` / `denominator`, rounded, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))
