"""LoRA files: what pairs of factors they hold for which layers, and how strong their change is.

A LoRA gives a layer's weight a change of low rank, scale · alpha / r · B·A, with A (r, inputs) and B
(outputs, r) (Hu et al., "LoRA", arXiv:2106.09685, section 4.1). alpha is the file's own, or r where it has
none. `lora_merge` adds the changes to the weights.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConversionError, UsageError
from ...values import decode_json, is_number
from ..checkpoint import SHOWN
from ..hub.repository import is_repository
from ..storage.safetensors import CHUNK_ELEMENTS, SafetensorsFile, StoredWeight
from .keys import ALPHA, DOWN, UP, read_key, unsupported

__all__ = ["Lora", "LoraChoice", "LoraChoices", "LoraLayer", "open_loras", "shown"]

#: What an alpha may be stored as, and a weight may not.
WIDE_DTYPES: Mapping[str, np.dtype[Any]] = {
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}

#: A file, `FILE:SCALE`, or the two apart.
LoraChoice = str | Path | tuple[str | Path, float]

#: One or several of them.
LoraChoices = str | Path | Sequence[LoraChoice]


@dataclass
class LoraLayer:
    """What a file has of one layer, by half (DOWN, UP, ALPHA)."""

    halves: dict[str, StoredWeight] = field(default_factory=dict)


class Lora:
    """One LoRA file and its scale. ConversionError for an adapter of another kind, CheckpointError for a
    damaged file, UsageError for a scale that is no finite number."""

    def __init__(self, path: "str | Path", scale: float = 1.0) -> None:
        self.path = Path(path)
        if not is_number(scale):
            raise UsageError(f"the scale of the LoRA {self.path} is {scale!r}, expected a finite number")
        if self.path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
            raise ConversionError(
                f"{self.path} is a pickle, not a safetensors file: use the LoRA's .safetensors file"
            )
        if not self.path.suffix and is_repository(self.path):
            raise ConversionError(
                f"there is no file {self.path}: if it is a repository on the Hugging Face Hub, load "
                f"the LoRA's file first (`hf download {self.path}`) and name that"
            )
        self.scale = float(scale)
        self._file = SafetensorsFile(self.path)
        self._scaling = _PeftScaling.read(self._file)
        self.layers: dict[tuple[str, str], LoraLayer] = {}
        self._read()

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        digest = hashlib.sha256()
        for begin in range(0, len(self._file.data), CHUNK_ELEMENTS):
            digest.update(self._file.data[begin : begin + CHUNK_ELEMENTS].data)
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """An element of `source.lora` in bundle.json."""
        return {"file": self.path.name, "sha256": self.sha256, "scale": self.scale}

    def factor(self, component: str, layer: str) -> float:
        """scale · alpha / r of a layer."""
        halves = self.layers[component, layer].halves
        rank = halves[DOWN].shape[0]
        if ALPHA not in halves:
            return self.scale * self._scaling.factor(component, layer, rank)
        if math.prod(halves[ALPHA].shape) != 1:
            self._fail(f"{halves[ALPHA].name} has the shape {list(halves[ALPHA].shape)}, expected one number")
        alpha = _number(halves[ALPHA])
        if not math.isfinite(alpha):
            self._fail(f"{halves[ALPHA].name} is {alpha}, expected a finite number")
        return self.scale * alpha / rank

    def _read(self) -> None:
        """Sort the keys by layer; every key must belong to a complete pair."""
        kinds = {key: kind for key in self._file.tensors if (kind := unsupported(key))}
        if kinds:
            raise ConversionError(
                f"{self.path} is no plain LoRA, but {next(iter(kinds.values()))} ({shown(list(kinds))}): "
                "only pairs of low-rank factors can be merged; use a plain LoRA, or merge it into the "
                "checkpoint with its own tool"
            )
        unknown = []
        for key, tensor in self._file.tensors.items():
            found = read_key(key)
            if found is None:
                unknown.append(key)
                continue
            layer = self.layers.setdefault((found.component, found.layer), LoraLayer())
            if found.half in layer.halves:
                self._fail(f"{layer.halves[found.half].name} and {key} are the same half of one layer")
            layer.halves[found.half] = tensor
        if unknown or not self.layers:
            raise ConversionError(
                f"{self.path} has keys of no public LoRA layout: {shown(unknown) or 'none at all'}: "
                "expected pairs such as NAME.lora_A.weight and NAME.lora_B.weight, or NAME.lora_down.weight "
                "and NAME.lora_up.weight"
            )
        halves = [
            f"{next(iter(layer.halves.values())).name} (no {' and no '.join(missing)})"
            for layer in self.layers.values()
            if (missing := [word for word in (DOWN, UP) if word not in layer.halves])
        ]
        if halves:
            names = "lora_A or lora_down is the down half, lora_B or lora_up the up half"
            self._fail(f"half of a pair is missing beside {shown(halves)}; {names}")

    def _fail(self, problem: str) -> None:
        raise ConversionError(f"{self.path}: {problem}: download the LoRA again, or use another")


def _number(tensor: StoredWeight) -> float:
    """The value of a tensor of one element. Kohya saves an alpha that was given as an integer as one."""
    if tensor.stored not in WIDE_DTYPES:
        return float(tensor.array(np.float32).reshape(-1)[0])
    return float(tensor.stored_bytes(0, 1).view(WIDE_DTYPES[tensor.stored])[0])


@dataclass(frozen=True)
class _PeftScaling:
    """What PEFT's config says of alpha, where the file has none beside its factors.

    diffusers keeps it in the file's metadata (`lora_adapter_metadata`, keys with the component before them),
    PEFT in adapter_config.json beside the file.
    """

    config: Mapping[str, Any]
    prefixed: bool

    @classmethod
    def read(cls, file: SafetensorsFile) -> "_PeftScaling":
        text: Any = file.metadata.get("lora_adapter_metadata")
        beside = file.path.with_name("adapter_config.json")
        prefixed = isinstance(text, str)
        try:
            if not prefixed and file.path.name == "adapter_model.safetensors" and beside.is_file():
                text = beside.read_bytes()
            config = decode_json(text) if isinstance(text, str | bytes) else {}
        except (OSError, ValueError) as error:
            raise ConversionError(
                f"{file.path}: its adapter's config is not JSON ({error}): download the LoRA again"
            ) from error
        return cls(config if isinstance(config, dict) else {}, prefixed)

    def factor(self, component: str, layer: str, rank: int) -> float:
        """alpha / r, or alpha / √r for a rank-stabilised LoRA; 1 where nothing is said."""
        start = f"{component}." if self.prefixed else ""
        alpha = self.config.get(f"{start}lora_alpha")
        patterns = self.config.get(f"{start}alpha_pattern")
        if isinstance(patterns, dict):
            alpha = next((v for pattern, v in patterns.items() if _matches(pattern, layer)), alpha)
        if alpha is None:
            return 1.0
        if not is_number(alpha):
            raise ConversionError(
                f"the LoRA's config gives {layer} the alpha {str(alpha)[:40]}, expected a finite number: "
                "download the LoRA again, or use another"
            )
        return float(alpha) / (math.sqrt(rank) if self.config.get(f"{start}use_rslora") else rank)


def _matches(pattern: str, layer: str) -> bool:
    """Whether PEFT's `pattern` means the layer."""
    try:
        return bool(re.match(rf"(.*\.)?({pattern})$", layer))
    except re.error as error:
        raise ConversionError(
            f"the LoRA's config has the alpha_pattern {pattern[:60]!r}, which is no regular expression "
            f"({error}): use another LoRA"
        ) from error


def open_loras(choices: LoraChoices) -> tuple[Lora, ...]:
    """The files of `choices`, each a path, `PATH:SCALE` or (path, scale); their headers are read."""
    if isinstance(choices, str | Path):
        choices = [choices]
    if not isinstance(choices, Iterable):
        raise UsageError(f"lora is {choices!r}, expected a path, 'PATH:SCALE' or several")
    return tuple(Lora(*_split(choice)) for choice in choices)


def _split(choice: LoraChoice) -> "tuple[str | Path, float]":
    if isinstance(choice, tuple) and len(choice) == 2:
        return choice
    if not isinstance(choice, str | Path):
        raise UsageError(f"lora holds {choice!r}, expected a path, 'PATH:SCALE' or (path, scale)")
    text = str(choice)
    path, colon, scale = text.rpartition(":")
    if not colon or isinstance(choice, Path) or Path(text).exists():
        return choice, 1.0
    try:
        number = float(scale)
    except ValueError:
        number = math.nan
    # Else the colon may be the path's own, as in C:\loras\a.safetensors.
    is_scale = path.endswith(".safetensors") or Path(path).is_file() or math.isfinite(number)
    if not is_scale:
        return choice, 1.0
    if not math.isfinite(number):
        raise UsageError(
            f"the scale of the LoRA {path} is {scale!r}, expected a finite number, as in {path}:0.8"
        )
    return path, number


def shown(rows: Sequence[str]) -> str:
    """The first of `rows`, and how many more there are."""
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"{', '.join(rows[:SHOWN])}{more}"
