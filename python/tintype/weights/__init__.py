"""Checkpoints, read lazily: safetensors by memory map, Hugging Face folders, publishers' files, renames.

Nothing here builds a model, and nothing imports coremltools. Single files have no config.json; the one that
their tensors imply is made in `original_configs`.
"""

from .checkpoint import Checkpoint, Rename
from .diffusers_folder import DiffusersFolder, checked_text, pipeline_class
from .hub import HubCheckpoint, download, is_repository
from .lora import Lora, LoraChoices, open_loras
from .lora_merge import Merges, bind_loras, merge
from .original import OriginalFiles
from .renames import HUGGING_FACE
from .safetensors import SafetensorsFile, StoredWeight
from .source import Source, open_source

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
    "checked_text",
    "download",
    "is_repository",
    "merge",
    "open_loras",
    "open_source",
    "pipeline_class",
]
