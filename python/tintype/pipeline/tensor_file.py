"""A bundle's small files of tensors, in the format of safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ..errors import BundleError
from ..files import atomic_write

__all__ = ["read_tensors", "write_tensors"]

Array = np.ndarray[Any, Any]


def read_tensors(file: Path, remedy: str) -> dict[str, Array]:
    """All of `file`; BundleError with the remedy if it cannot be read."""
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{file} cannot be read ({error}): {remedy}") from error


def write_tensors(file: Path, tensors: Mapping[str, Array]) -> None:
    """Write `file`, whole or not at all."""
    with atomic_write(file) as opened:
        opened.write(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))
