"""Which kind of checkpoint a path is: a Hugging Face folder, or the publishers' single files."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError, UsageError
from ..names import BUNDLE_FILE
from .checkpoint import SHOWN
from .layouts.diffusers_folder import MODEL_INDEX, DiffusersFolder
from .layouts.original import OriginalFiles

__all__ = ["Source", "open_source"]

Source = DiffusersFolder | OriginalFiles

#: Files that hold models, and that are not read.
KINDS = {
    ".gguf": "a GGUF file (stable-diffusion.cpp, ComfyUI-GGUF)",
    **dict.fromkeys((".ckpt", ".pt", ".pth", ".bin"), "a pickle, which can run code when it is opened"),
    ".onnx": "an ONNX file",
    **dict.fromkeys(
        (".zip", ".tar", ".tgz", ".gz", ".xz", ".7z", ".rar"), "an archive, which has to be unpacked"
    ),
}
MORE = {".gguf": "; its safetensors files have the full weights, and --quantize makes the bundle as small"}


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
    _check_level(place)
    if not single:
        _check_folder(place)
        if tokenizers is not None:
            raise UsageError(
                f"tokenizers are of single files, and {place} is a Hugging Face folder, which has its own: "
                "leave them out"
            )
        return DiffusersFolder(place, pipelines, variant)
    if place.is_file() and place.suffix != ".safetensors":
        raise CheckpointError(
            f"{place} is {_kind(place)}, but no safetensors file: name a Hugging Face folder, or a "
            f"publisher's single .safetensors file{MORE.get(_suffix(place), '')}"
        )
    return OriginalFiles(place, tokenizers)


def _check_level(place: Path) -> None:
    """CheckpointError where the folder of a pipeline is one level up or down."""
    if (place / MODEL_INDEX).is_file():
        return
    if (place / BUNDLE_FILE).is_file() or place.suffix in (".mlpackage", ".mlmodelc"):
        kind = "a bundle" if (place / BUNDLE_FILE).is_file() else "a Core ML model"
        raise CheckpointError(f"{place} is {kind}, which is converted already: name the checkpoint it is of")
    inside = place.name == MODEL_INDEX or (place.is_dir() and (place / "config.json").is_file())
    if inside and (place.absolute().parent / MODEL_INDEX).is_file():
        raise CheckpointError(
            f"{place} is a part of a Hugging Face folder: name that, {place.absolute().parent}"
        )
    # One level down, or where the Hub's cache keeps a repository, or all of them.
    levels = ("*", "snapshots/*", "models--*/snapshots/*")
    below = sorted(f for level in levels for f in place.glob(f"{level}/{MODEL_INDEX}"))
    if below and not any(place.glob("*.safetensors")):
        found = ", ".join(str(file.parent) for file in below[:SHOWN])
        raise CheckpointError(
            f"{place} has no {MODEL_INDEX}, but folders in it do: name one, such as {found}"
        )


def _check_folder(place: Path) -> None:
    """CheckpointError for a folder whose weights are of a kind that is not read."""
    if not place.is_dir() or (place / MODEL_INDEX).is_file():
        return
    found = next((p for p in sorted(place.iterdir()) if _suffix(p) in KINDS), None)
    if found is not None:
        raise CheckpointError(
            f"{place} has no {MODEL_INDEX} and no safetensors files, only {found.name}, {_kind(found)}: name "
            f"a Hugging Face folder, or a publisher's single .safetensors file{MORE.get(_suffix(found), '')}"
        )


def _suffix(place: Path) -> str:
    """The file's kind as a suffix, by its first bytes where the name does not tell."""
    if place.is_file() and place.suffix not in KINDS:
        with place.open("rb") as file:
            return ".gguf" if file.read(4) == b"GGUF" else place.suffix
    return place.suffix


def _kind(place: Path) -> str:
    return KINDS.get(_suffix(place), "a file")
