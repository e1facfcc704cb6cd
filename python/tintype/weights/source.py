"""Which kind of checkpoint a path is: a Hugging Face folder, or the publishers' single files."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError
from .diffusers_folder import MODEL_INDEX, DiffusersFolder
from .original import OriginalFiles

__all__ = ["Source", "open_source"]

Source = DiffusersFolder | OriginalFiles


def open_source(
    path: "str | Path",
    pipelines: Sequence[str],
    *,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
) -> Source:
    """Open the checkpoint at `path`; CheckpointError when it is none.

    `variant` is of Hugging Face folders; `tokenizers`, a Hugging Face folder, is of single files.
    """
    place = Path(path)
    single = place.is_file() or (
        place.is_dir() and not (place / MODEL_INDEX).is_file() and any(place.glob("*.safetensors"))
    )
    if not single:
        return DiffusersFolder(place, pipelines, variant)
    if place.is_file() and place.suffix != ".safetensors":
        raise CheckpointError(
            f"{place} is a file, but no safetensors file: name a Hugging Face folder, or a publisher's "
            "single .safetensors file"
        )
    return OriginalFiles(place, tokenizers)
