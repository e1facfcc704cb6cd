"""Decoded pixels as a PIL image, and pictures with their settings inside as files."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import UsageError
from ..files import atomic_write, check_writable
from ..run.pictures import load_picture
from ..values import decode_json

__all__ = [
    "PNG_KEY",
    "check_target",
    "read_parameters",
    "save_image",
    "to_image",
]

#: The PNG text chunk that holds the settings as JSON.
PNG_KEY = "parameters"


def to_image(decoded: np.ndarray[Any, Any]) -> Image.Image:
    """[1, 3, H, W] in [-1, 1] as an RGB image: clipped, scaled to 0…255 and rounded (not truncated)."""
    unit = np.clip(decoded[0] / 2 + 0.5, 0, 1)  # [3, H, W]
    pixels = np.rint(unit * 255).astype(np.uint8).transpose(1, 2, 0)  # [H, W, 3]
    return Image.fromarray(np.ascontiguousarray(pixels), mode="RGB")


def save_image(image: Image.Image, path: str | os.PathLike[str], parameters: Mapping[str, Any]) -> Path:
    """Writes `image` to `path`, by the suffix's format; PNG files carry `parameters` as a text chunk.

    The file appears complete or not at all. UsageError for an unknown suffix or a folder that does not exist.
    """
    target = Path(path)
    kind = check_target(target)
    options: dict[str, Any] = {}
    if kind == "PNG":
        info = PngInfo()
        info.add_text(PNG_KEY, json.dumps(dict(parameters), ensure_ascii=False))
        options["pnginfo"] = info
    with atomic_write(target) as file:
        image.save(file, format=kind, **options)
    return target


def check_target(path: str | os.PathLike[str]) -> str:
    """The image format that `path` names by its suffix; UsageError if it cannot be written there."""
    target = Path(path)
    kind = Image.registered_extensions().get(target.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise UsageError(f"{target} has no suffix of an image format: name it with .png")
    check_writable(target)
    return kind


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings inside a PNG that Tintype wrote; {} if there are none. PictureError."""
    text = getattr(load_picture(path), "text", {}).get(PNG_KEY, "{}")
    try:
        value = decode_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
