"""A checkpoint on the Hugging Face Hub without its weights: what the plan of a conversion reads.

Configs, tokenizers and index files are loaded as ever. Of a safetensors file that the cache does not hold the
header alone is asked for; in the outline it stands before as many zeros as the file has weights, a hole that
takes no room on the disk. So the outline is read by the code that reads checkpoints.
"""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ..storage.quantized import COMFY

__all__ = ["outlined"]


def outlined(
    name: str, revision: str, sizes: Mapping[str, int], folder: Path, report: Callable[[int, int], object]
) -> dict[str, int]:
    """Make the outline of the files in `sizes` (name → bytes) of a repository in `folder`.

    Returns those that would have to be loaded. `report` is called with (files done, files in all).
    CheckpointError for a file that is no safetensors file; else what the client raises.
    """
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import SafetensorsParsingError

    missing: dict[str, int] = {}
    for done, (file, size) in enumerate(sizes.items()):
        report(done, len(sizes))
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        cached = try_to_load_from_cache(name, file, revision=revision)
        if not isinstance(cached, str) and not file.endswith(".safetensors"):
            cached = hf_hub_download(name, file, revision=revision)
        if isinstance(cached, str):
            place.symlink_to(cached)
            continue
        try:
            found = HfApi().parse_safetensors_file_metadata(name, file, revision=revision)
        except SafetensorsParsingError as error:
            raise CheckpointError(
                f"{name}/{file} on the Hugging Face Hub is no safetensors file ({error}): use another "
                "checkpoint"
            ) from error
        _write(place, found, f"{name}/{file}", size)
        missing[file] = size
    return missing


def _write(place: Path, found: Any, label: str, size: int) -> None:
    """A file with the header that was `found`, as large as its tensors make it."""
    header: dict[str, Any] = {"__metadata__": found.metadata}
    for key, tensor in found.tensors.items():
        if not key.endswith(COMFY):  # a note in bytes that are not here, and of no consequence for a plan
            header[key] = {
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "data_offsets": list(tensor.data_offsets),
            }
    end = max((t.data_offsets[1] for t in found.tensors.values()), default=0)
    if end > size:
        raise CheckpointError(
            f"{label} on the Hugging Face Hub is truncated: its tensors end at byte {end}, but it holds "
            f"{size}: use another checkpoint"
        )
    text = json.dumps(header).encode()
    with place.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
