"""The publishers' single files: `sd3*_incl_clips*.safetensors`, `flux1-*.safetensors` with `ae.safetensors`.

DiffusionKit's files (argmaxinc/mlx-*) are the same files, or 4-bit ones in its own layout.

What a file holds is told by its keys, never by its name. Parts that the given file lacks (FLUX's autoencoder,
text encoders) are taken from the other safetensors files beside it, then from the companion, a Hugging Face
folder of the same model, which also gives the tokenizers: no single file has them.

OriginalFiles answers as `DiffusersFolder` does, under the same names of folders.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...weight import Weight
from ..checkpoint import Checkpoint, Rename
from ..storage.quantized import expanded
from ..storage.safetensors import SafetensorsFile
from . import diffusion_kit_keys as kit
from . import original_keys as keys
from .diffusers_folder import MODEL_INDEX, DiffusersFolder, pipeline_class
from .original_configs import CONFIGS, SCHEDULERS

__all__ = ["OriginalFiles"]

SD3, FLUX = "StableDiffusion3Pipeline", "FluxPipeline"
SCHEDULER_FILE = "scheduler/scheduler_config.json"

Tensors = Mapping[str, Weight]


@dataclass(frozen=True)
class Part:
    """A part of a single file: `marks` are keys that only it has, below one of `prefixes`."""

    name: str
    prefixes: tuple[str, ...]
    marks: tuple[str, ...]


_TRANSFORMER = ("model.diffusion_model.", "diffusion_model.", "")
_CLIP_MARKS = ("text_model.final_layer_norm.weight", "ln_final.weight")
_T5_MARKS = ("encoder.block.0.layer.0.SelfAttention.q.weight",)

PARTS = (
    Part("sd3", _TRANSFORMER, ("joint_blocks.0.x_block.attn.qkv.weight", kit.SD3_MARK)),
    Part("flux", _TRANSFORMER, ("double_blocks.0.img_attn.qkv.weight", kit.FLUX_MARK)),
    Part("vae", ("first_stage_model.", "vae.", ""), ("decoder.mid.block_1.conv1.weight", kit.VAE_MARK)),
    Part("clip_l", ("text_encoders.clip_l.transformer.", "text_encoders.clip_l."), _CLIP_MARKS),
    Part("clip_g", ("text_encoders.clip_g.transformer.", "text_encoders.clip_g."), _CLIP_MARKS),
    Part("t5", ("text_encoders.t5xxl.transformer.", "text_encoders.t5xxl.", ""), _T5_MARKS),
    Part("clip", ("",), _CLIP_MARKS),
)

#: pipeline → folder of the Hugging Face layout → part.
FOLDERS: Mapping[str, Mapping[str, str]] = {
    SD3: {
        "transformer": "sd3",
        "vae": "vae",
        "text_encoder": "clip_l",
        "text_encoder_2": "clip_g",
        "text_encoder_3": "t5",
    },
    FLUX: {"transformer": "flux", "vae": "vae", "text_encoder": "clip_l", "text_encoder_2": "t5"},
}


class OriginalFiles:
    """A single-file checkpoint; `files` collects what was read, by its name; `downloads` are those of an
    outline that would have to be loaded from the Hub: name → bytes; `offline` says why the Hub could not be
    asked for more than its cache holds."""

    def __init__(self, path: "str | Path", companion: "str | Path | None" = None) -> None:
        """Open the file `path`, or the only single file in the folder `path`.

        `companion` is a Hugging Face folder of the same model with its tokenizers, and with what else the
        files lack.
        """
        self.path = Path(path)
        self.name = Path(os.path.realpath(self.path)).stem
        self.index: dict[str, Any] = {}
        self.origin: dict[str, str] = {}
        self.downloads: dict[str, int] = {}
        self.offline = ""
        self.files: dict[str, Path] = {}
        self.layout = "original"
        self.companion = None if companion is None else Path(companion)
        self._companion = None if companion is None else DiffusersFolder(companion, (SD3, FLUX), partial=True)
        first = [] if self.path.is_dir() else [self.path]
        folder = self.path if self.path.is_dir() else self.path.parent
        others = sorted(p for p in folder.glob("*.safetensors") if p not in first)
        self._parts: dict[str, tuple[Path, dict[str, Weight]]] = {}
        self._rivals: dict[str, list[str]] = {}
        self._renamed: dict[str, Mapping[str, Weight]] = {}
        for file in first:
            self._collect(file, required=True)
        given = set(self._parts)
        for file in others:
            self._collect(file, required=self.path.is_dir())
        for name in given:
            self._rivals.pop(name, None)
        self._name_clips()
        if not {"sd3", "flux"} & set(self._parts):
            raise CheckpointError(
                f"{self.path} holds no transformer of Stable Diffusion 3 or FLUX.1: "
                "name a publisher's single file, or a folder with a model_index.json"
            )
        self.pipeline = SD3 if "sd3" in self._parts else FLUX
        self._check_companion()

    def has(self, component: str) -> bool:
        """Whether the files, those beside them or the companion have this component."""
        if FOLDERS[self.pipeline].get(component) in self._parts:
            return True
        return self._companion is not None and self._companion.has(component)

    def _check_companion(self) -> None:
        """CheckpointError for tokenizers of another family."""
        companion = self._companion
        if companion is None or not companion.holds(MODEL_INDEX):
            return
        index = companion.json(MODEL_INDEX)
        kind = pipeline_class(index) if "_class_name" in index else self.pipeline
        del companion.files[MODEL_INDEX]  # the bundle is not made of it
        if kind != self.pipeline:
            raise CheckpointError(
                f"--tokenizers {companion.path} is of {kind[:60]}, but {self.path} is of "
                f"{self.pipeline}: name a folder of the same model"
            )

    def check_parts(self, parts: Sequence[str]) -> None:
        """CheckpointError that names all of `parts` (weights and tokenizers) that are nowhere."""
        missing = [part for part in parts if not self.has(part)]
        if missing:
            raise CheckpointError(
                f"{self.path} holds no {', '.join(missing)}: put the publishers' files for the weights "
                f"beside it (FLUX.1's vae is ae.safetensors); tokenizers, which no single file has, and what "
                "else is missing are taken from --tokenizers, a Hugging Face folder, or the id of a model on "
                f"the Hub, of the same model{self._unasked()}"
            )

    def _unasked(self) -> str:
        return f". The Hub may have it beside this file: {self.offline}" if self.offline else ""

    def folder(self, component: str) -> Path:
        """The component's folder in the companion (a tokenizer's). CheckpointError when it is not there."""
        if self._companion is None:
            raise CheckpointError(
                f"{self.path} has no {component}, no single file has one: give --tokenizers, a Hugging Face "
                "folder, or the id of a model on the Hub, of the same model (its tokenizers and configs are "
                "enough)"
            )
        return self._companion.folder(component)

    def json(self, relative: str) -> dict[str, Any]:
        """A JSON file of the companion; the scheduler's is known without one."""
        if relative == SCHEDULER_FILE and (self._companion is None or not self._companion.holds(relative)):
            return SCHEDULERS[self.pipeline](self.config("transformer"))
        companion = self._companion
        if companion is None:
            raise CheckpointError(f"{self.path} has no {relative}: give --tokenizers, a folder that has it")
        data = companion.json(relative)
        self.files.update({f"tokenizers/{name}": path for name, path in companion.files.items()})
        return data

    def config(self, component: str) -> dict[str, Any]:
        """The component's config.json, as its tensors imply it."""
        hints: Mapping[str, Any] = {}
        if self._companion is not None and self._companion.holds(f"{component}/config.json"):
            hints = self._companion.json(f"{component}/config.json")
        if FOLDERS[self.pipeline].get(component) not in self._parts:
            return self._needed(component).config(component)
        return CONFIGS[self.pipeline, component](self._tensors(component), hints)

    def weights(self, component: str, renames: Sequence[Rename] = ()) -> Checkpoint:
        """The component's tensors under the models' names."""
        part = FOLDERS[self.pipeline].get(component, "")
        if part not in self._parts:
            companion = self._needed(component)
            weights = companion.weights(component, renames)
            self.files.update({f"tokenizers/{name}": path for name, path in companion.files.items()})
            return weights
        file, _ = self._parts[part]
        self.files[file.name] = file
        return Checkpoint(component, self._tensors(component), renames)

    def _needed(self, component: str) -> DiffusersFolder:
        """The companion, which must have the component."""
        if self._companion is None or not self._companion.has(component):
            raise CheckpointError(
                f"{self.path} holds no {component}: put the publisher's file for it beside, give a folder "
                f"that has it as --tokenizers, or choose other --components{self._unasked()}"
            )
        return self._companion

    def _tensors(self, component: str) -> Mapping[str, Weight]:
        if component not in self._renamed:
            part = FOLDERS[self.pipeline][component]
            file, tensors = self._parts[part]
            if part in self._rivals:
                raise CheckpointError(
                    f"{self.path}: {file.name} and {' and '.join(self._rivals[part])} beside it all hold a "
                    f"{component}: keep one of them there, or move the checkpoint to a folder of its own"
                )
            found = RENAMED[part](tensors)
            if self.pipeline == FLUX and component == "text_encoder":
                found.pop("text_projection.weight", None)  # FLUX reads the state before the projection
            self._renamed[component] = found
        return self._renamed[component]

    def _collect(self, path: Path, *, required: bool) -> None:
        """Take the parts of a file that are not there yet; a file beside that cannot be read is passed by."""
        try:
            tensors = expanded(SafetensorsFile(path).tensors)
        except CheckpointError:
            if required:
                raise
            return
        for part in PARTS:
            found = next((p for p in part.prefixes if any(p + mark in tensors for mark in part.marks)), None)
            if found is None:
                continue
            inside = {key[len(found) :]: tensor for key, tensor in tensors.items() if key.startswith(found)}
            name = part.name if part.name != "clip" else f"clip {path.name}"
            if name in self._parts and self._parts[name][0] != path:
                self._rivals.setdefault(name, []).append(path.name)
            self._parts.setdefault(name, (path, inside))

    def _name_clips(self) -> None:
        """CLIP files without a prefix: the narrower one is CLIP-L."""
        loose = sorted(
            (name for name in self._parts if name.startswith("clip ")),
            key=lambda name: self._clip_width(name),
        )
        for name, number in zip(loose, ("clip_l", "clip_g"), strict=False):
            self._parts.setdefault(number, self._parts[name])

    def _clip_width(self, name: str) -> int:
        tensors = self._parts[name][1]
        return next(t.shape[0] for key, t in tensors.items() if key.endswith(_CLIP_MARKS))


def _renamed_sd3(tensors: Tensors) -> dict[str, Weight]:
    if kit.SD3_MARK in tensors:
        return kit.completed(keys.apply_rows(tensors, kit.SD3))
    return keys.apply_rows(tensors, keys.SD3)


def _renamed_flux(tensors: Tensors) -> dict[str, Weight]:
    if kit.FLUX_MARK in tensors:
        return kit.completed(keys.apply_rows(tensors, kit.FLUX))
    return keys.apply_rows(tensors, keys.FLUX)


def _renamed_vae(tensors: Tensors) -> dict[str, Weight]:
    down, rows = (
        ("down_blocks", kit.autoencoder_rows) if kit.VAE_MARK in tensors else ("down", keys.autoencoder_rows)
    )
    stages = {key.split(".")[2] for key in tensors if key.startswith(f"encoder.{down}.")}
    return keys.apply_rows(tensors, rows(len(stages)))


#: part → its tensors under the models' names.
RENAMED: Mapping[str, Callable[[Tensors], dict[str, Weight]]] = {
    "sd3": _renamed_sd3,
    "flux": _renamed_flux,
    "vae": _renamed_vae,
    "clip_l": lambda tensors: keys.apply_rows(tensors, keys.CLIP),
    "clip_g": lambda tensors: keys.apply_rows(tensors, keys.CLIP),
    "t5": lambda tensors: keys.apply_rows(tensors, keys.T5),
}
