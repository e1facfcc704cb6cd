"""The Hugging Face (diffusers) folder layout: model_index.json and a folder a component.

model_index.json                    component → [library, class], or nulls where the pipeline has none
text_encoder/    config.json  model.safetensors
transformer/     config.json  diffusion_pytorch_model.safetensors, or shards:
                 diffusion_pytorch_model.safetensors.index.json
                 diffusion_pytorch_model-00001-of-00002.safetensors …
tokenizer/       vocab.json  merges.txt  tokenizer_config.json

A variant stands before the suffix: model.fp16.safetensors, model.fp16-00001-of-00002.safetensors, with the
index model.safetensors.index.fp16.json (older: model.fp16.safetensors.index.json).
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, UsageError
from ...values import decode_json
from ..checkpoint import Checkpoint, Rename
from ..storage.quantized import expanded
from ..storage.safetensors import LFS_POINTER, SafetensorsFile, StoredWeight

__all__ = ["DiffusersFolder", "check_variant", "checked_text", "pipeline_class", "variant_suffixes"]

MODEL_INDEX = "model_index.json"
#: A pipeline that was saved for another task has the same models: class → the one for text alone.
SAME_MODELS = {
    f"{family}{task}Pipeline": f"{family}Pipeline"
    for family, tasks in (
        ("StableDiffusion3", ("Img2Img", "Inpaint", "PAG", "PAGImg2Img")),
        ("Flux", ("Img2Img", "Inpaint")),
    )
    for task in tasks
}
STEMS = ("diffusion_pytorch_model", "model")

#: A file of a variant, or its index; the group is the variant.
VARIANT = re.compile(rf"(?:{'|'.join(STEMS)})\.(?:safetensors\.index\.)?((?!safetensors|index)\w+)(?:[-.].*)")


class DiffusersFolder:
    """A checkpoint folder; `files` collects what was read, by its path in the folder.

    `downloads` are the files of an outline that would have to be loaded from the Hub: name → bytes.
    """

    def __init__(
        self,
        path: "str | Path",
        pipelines: Sequence[str],
        variant: str | None = None,
        *,
        partial: bool = False,
    ) -> None:
        """Open the folder, which must hold one of the `pipelines` (class names).

        `variant` names the files to read ("fp16") where a component has such; else those without one are
        read, or, with None, the only variant there is. A `partial` folder may lack
        model_index.json and weights: it has what lies in it.
        """
        if variant is not None and not re.fullmatch(r"\w+", variant):
            raise UsageError(f"variant is {variant!r}, expected a word in the files' names, such as fp16")
        self.path = Path(path)
        self.name = Path(os.path.realpath(self.path)).name
        self.files: dict[str, Path] = {}
        self.layout = "diffusers"
        self.companion: Path | None = None
        self.index: dict[str, Any] = {}
        self._variant, self._partial = variant, partial
        self.origin: dict[str, str] = {}
        self.downloads: dict[str, int] = {}
        self.pipeline = ""
        if not self.path.is_dir():
            what = "is a file" if self.path.exists() else "does not exist"
            raise CheckpointError(
                f"{self.path} {what}: name a folder with a {MODEL_INDEX} in it, or a .safetensors file"
            )
        if partial:
            return
        if not (self.path / MODEL_INDEX).is_file():
            raise CheckpointError(
                f"{self.path} has no {MODEL_INDEX}: name the folder of a Hugging Face (diffusers) pipeline"
            )
        self.index = self.json(MODEL_INDEX)
        kind = pipeline_class(self.index)
        if kind not in pipelines:
            name, expected = self.index.get("_class_name"), " or ".join(pipelines)
            raise CheckpointError(
                f"{self.path / MODEL_INDEX}: _class_name is {name!r}, expected {expected}: "
                "Tintype converts no other pipelines yet"
            )
        self.pipeline = kind

    def has(self, component: str) -> bool:
        """Whether the pipeline has this component, by its index."""
        if self._partial:
            tokenizer = component.startswith("tokenizer")
            return any((self.path / component).glob("*" if tokenizer else "*.safetensors"))
        entry = self.index.get(component)
        return isinstance(entry, list) and len(entry) == 2 and entry[1] is not None

    def holds(self, relative: str) -> bool:
        """Whether the file is there."""
        return (self.path / relative).is_file()

    def check_parts(self, parts: Sequence[str]) -> None:
        """CheckpointError unless all of `parts` (weights and tokenizers) are there."""
        for part in parts:
            self.folder(part)

    def folder(self, component: str) -> Path:
        """The component's folder. CheckpointError when it is not there."""
        if not self.has(component):
            raise CheckpointError(
                f"{self.path / MODEL_INDEX} names no {component}: leave it out, or use another checkpoint"
            )
        path = self.path / component
        if not path.is_dir():
            raise CheckpointError(
                f"{path} is missing, but {MODEL_INDEX} names it: download the whole checkpoint, or choose "
                "components that need no such part"
            )
        return path

    def json(self, relative: str) -> dict[str, Any]:
        """A JSON object in the folder."""
        path = self.path / relative
        if not path.is_file():
            what = "is no file" if path.exists() else "is missing"
            raise CheckpointError(f"{path} {what}: download the whole checkpoint")
        try:
            data = decode_json(checked_text(path))
        except ValueError as error:
            raise CheckpointError(f"{path} cannot be read as JSON ({error}): download it again") from error
        if not isinstance(data, dict):
            raise CheckpointError(f"{path} holds no JSON object: download it again")
        self.files[relative] = path
        return data

    def config(self, component: str) -> dict[str, Any]:
        """The component's config.json."""
        self.folder(component)
        return self.json(f"{component}/config.json")

    def weights(self, component: str, renames: Sequence[Rename] = ()) -> Checkpoint:
        """The component's tensors, from one file or from the shards of an index."""
        folder = self.folder(component)
        for suffix in variant_suffixes([p.name for p in folder.iterdir()], self._variant):
            for stem in STEMS:
                indexes = f"{stem}.safetensors.index{suffix}.json", f"{stem}{suffix}.safetensors.index.json"
                for index in indexes:
                    if (folder / index).is_file():
                        return Checkpoint(component, expanded(self._shards(component, index)), renames)
                file = f"{stem}{suffix}.safetensors"
                if (folder / file).is_file():
                    tensors = self._open(f"{component}/{file}").tensors
                    return Checkpoint(component, expanded(tensors), renames)
        found = ", ".join(sorted(map(_described, folder.iterdir()))) or "nothing"
        raise CheckpointError(
            f"{folder} has no {' or '.join(f'{stem}.safetensors' for stem in STEMS)}, only {found}: "
            "download the safetensors files of the checkpoint"
        )

    def _shards(self, component: str, index: str) -> Mapping[str, StoredWeight]:
        relative = f"{component}/{index}"
        table = self.json(relative).get("weight_map")
        if not isinstance(table, dict) or not all(_is_file_name(v) for v in table.values()):
            raise CheckpointError(f"{self.path / relative} has no usable weight_map: download it again")
        shards = {name: self._open(f"{component}/{name}") for name in sorted(set(table.values()))}
        tensors = {}
        for key, name in table.items():
            if key not in shards[name].tensors:
                raise CheckpointError(
                    f"{self.path / relative} places {key} in {name}, where it is not: download both again"
                )
            tensors[key] = shards[name].tensors[key]
        return tensors

    def _open(self, relative: str) -> SafetensorsFile:
        path = self.path / relative
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: download the whole checkpoint")
        self.files[relative] = path
        return SafetensorsFile(path)


def checked_text(path: Path) -> str:
    """The text of a file in UTF-8, without its byte order mark; CheckpointError where a pointer of Git LFS
    lies in its place, or where it cannot be read, ValueError for what is no UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): check the disk, and who may read it"
        ) from error
    if text.startswith(LFS_POINTER):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the file: run `git lfs pull`")
    return text


def pipeline_class(index: Mapping[str, Any]) -> str:
    """The text-to-image class of a model_index.json's models; what the file says where there is none."""
    kind = str(index.get("_class_name"))
    return SAME_MODELS.get(kind, kind)


def variant_suffixes(names: Sequence[str], variant: str | None) -> Sequence[str]:
    """What may stand before the suffix: the variant, else nothing, else the only variant among `names`."""
    if variant is not None:
        return (f".{variant}", "")
    variants = _variants(names)
    return ("", f".{variants.pop()}") if len(variants) == 1 else ("",)


def check_variant(place: str, names: Iterable[str], variant: str) -> None:
    """CheckpointError where none of the files `names` of the checkpoint at `place` is of the variant: some
    components may lack it, as with diffusers, but not all."""
    found = _variants(names)
    if variant not in found:
        there = f"only of {', '.join(sorted(found))}" if found else "nor of any other"
        raise CheckpointError(
            f"{place} has no files of the variant {variant!r}, {there}: leave the variant out, or name one "
            "that is there"
        )


def _variants(names: Iterable[str]) -> set[str]:
    return {m[1] for m in map(VARIANT.fullmatch, names) if m}


def _described(place: Path) -> str:
    if place.is_file():
        return place.name
    return f"{place.name} ({'no file' if place.exists() else 'a link that leads nowhere'})"


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and Path(value).name == value and value not in ("", ".", "..")
