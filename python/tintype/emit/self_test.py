"""The file of a recorded prediction in a bundle's folder: `input.NAME` and `expected.NAME` as safetensors."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import BundleError, CheckpointError
from ..weight import Array
from ..weights import SafetensorsFile, write_safetensors

__all__ = ["read_self_test", "write_self_test"]

#: Stored dtype → NumPy's.
DTYPES = {"F16": np.float16, "F32": np.float32, "I32": np.int32}


def read_self_test(file: Path) -> dict[str, Array]:
    """The tensors by their names in the file; BundleError if it is damaged."""
    try:
        stored = SafetensorsFile(file).tensors
        return {name: t.array(DTYPES.get(t.stored, np.float32)) for name, t in stored.items()}
    except CheckpointError as error:
        raise BundleError(f"{error}; record it again with verify --self-test") from error


def write_self_test(file: Path, inputs: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Write `file`, whole or not at all."""
    tensors = {f"input.{name}": value for name, value in inputs.items()}
    tensors |= {f"expected.{name}": value for name, value in expected.items()}
    file.parent.mkdir(exist_ok=True)
    draft = file.with_name(f".{file.name}")
    write_safetensors(draft, tensors)
    os.replace(draft, file)
