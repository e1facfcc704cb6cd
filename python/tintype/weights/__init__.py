"""Checkpoints, read lazily: safetensors by memory map, the Hugging Face folder layout, rename tables.

Nothing here knows a model's structure, and nothing imports coremltools.
"""

from .checkpoint import Checkpoint, Rename
from .diffusers_folder import DiffusersFolder
from .renames import HUGGING_FACE
from .safetensors import SafetensorsFile, StoredWeight, write_safetensors

__all__ = [
    "HUGGING_FACE",
    "Checkpoint",
    "DiffusersFolder",
    "Rename",
    "SafetensorsFile",
    "StoredWeight",
    "write_safetensors",
]
