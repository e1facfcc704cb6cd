"""Checkpoints, read lazily: safetensors by memory map, Hugging Face folders, publishers' files, renames.

Nothing here builds a model, and nothing imports coremltools. Single files have no config.json; the one that
their tensors imply is made in `original_configs`.
"""

from .checkpoint import Checkpoint, Rename
from .hub.repository import HubCheckpoint, download, is_repository
from .layouts.diffusers_folder import DiffusersFolder, check_variant, checked_text, pipeline_class
from .layouts.original import OriginalFiles
from .layouts.renames import HUGGING_FACE
from .lora.adapters import Lora, LoraChoices, open_loras
from .lora.merge import Merges, bind_loras, merge
from .source import Source, open_source
from .storage.safetensors import SafetensorsFile, StoredWeight

__all__ = [
    "HUGGING_FACE",
    "Checkpoint",
    "DiffusersFolder",
    "HubCheckpoint",
    "Lora",
    "LoraChoices",
    "Merges",
    "OriginalFiles",
    "Rename",
    "SafetensorsFile",
    "Source",
    "StoredWeight",
    "bind_loras",
    "check_variant",
    "checked_text",
    "download",
    "is_repository",
    "merge",
    "open_loras",
    "open_source",
    "pipeline_class",
]
