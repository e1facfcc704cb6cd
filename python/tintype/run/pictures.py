"""Pictures as files and as PIL images: pixels of 8 bits from whatever they hold.

The one place that opens a picture, for models with image inputs and for pipelines.
"""

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PictureError", "load_picture", "pixels_of_picture", "upright"]

Array = np.ndarray[Any, Any]


class PictureError(ValueError):
    """A file that is no picture, or pixels of neither 8 nor 16 bits; the text says what and what helps."""


def load_picture(path: str | os.PathLike[str]) -> "Image.Image":
    """The picture in the file, its pixels read, as they lie there; PictureError."""
    from PIL import Image

    try:
        picture: Image.Image = Image.open(path)
        with picture:
            picture.load()
        return picture
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"cannot be read as a picture ({error})") from error


def upright(image: "Image.Image") -> "Image.Image":
    """Turned as its EXIF orientation says."""
    from PIL import ImageOps

    turned: Image.Image = ImageOps.exif_transpose(image)
    turned.format = image.format
    return turned


def pixels_of_picture(image: "Image.Image", mode: Literal["RGB", "L"]) -> Array:
    """uint8 [H, W, 3] for RGB, [H, W] for L (gray). Transparency is dropped; of 16 bits the upper 8 stay.

    PictureError for pixels without a known scale (modes I and F) and colors that PIL cannot convert (LAB).
    """
    # PIL clips what has more than 8 bits. Its older versions call the 16 bits of a PNG "I".
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        gray = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
        return gray if mode == "L" else np.stack([gray] * 3, axis=-1)
    if image.mode in ("I", "F"):
        raise PictureError(
            f"is a picture of mode {image.mode}, whose scale is not known: scale its values to 0 to 255 "
            "and make an 8-bit picture of them"
        )
    try:
        return np.array(image.convert(mode))
    except ValueError as error:
        raise PictureError(
            f"is a picture of mode {image.mode} ({error}): convert it to RGB or gray first"
        ) from error
