"""Writing an `.mlpackage`:

NAME.mlpackage/Manifest.json
NAME.mlpackage/Data/com.apple.CoreML/model.mlmodel
NAME.mlpackage/Data/com.apple.CoreML/weights/weight.bin
"""

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConversionError
from ..layers import MILProgram, uncollected
from ._milproto import model_bytes
from .weight_file import WeightLayout

__all__ = ["Package", "PlacedProgram", "place", "write_package", "write_placed"]

AUTHOR = "com.apple.CoreML"


@dataclass(frozen=True)
class Package:
    """What was written: the size of weight.bin in bytes, and its SHA-256."""

    weight_bytes: int
    sha256: str


@dataclass(frozen=True)
class PlacedProgram:
    """A program as the bytes of its model.mlmodel and the places of its weights: all that its package is
    written from."""

    model: bytes
    layout: WeightLayout


def place(program: MILProgram) -> PlacedProgram:
    """Translate `program` and place its weights; reads none."""
    layout = WeightLayout()
    with uncollected():
        return PlacedProgram(model_bytes(program, layout), layout)


def write_package(
    program: MILProgram, path: Path, progress: Callable[[int, int], None] | None = None
) -> Package:
    """Write `program` as the package `path` (which must not exist); the same program gives the same bytes.

    `progress` hears the bytes of weights written and to be written.
    """
    return write_placed(place(program), path, progress)


def write_placed(
    program: PlacedProgram, path: Path, progress: Callable[[int, int], None] | None = None
) -> Package:
    """`write_package` of a program that is placed."""
    model, layout = program.model, program.layout
    _check_space(path, len(model) + layout.size)
    data = path / "Data" / AUTHOR
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(model)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, layout.size)

    written = layout.write(data / "weights" / "weight.bin", report)
    (path / "Manifest.json").write_text(manifest(model, written.sha256), encoding="utf-8")
    return Package(written.size, written.sha256)


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise ConversionError(
            f"{path.name} needs {needed / 1e6:.1f} MB, but its disk has {free / 1e6:.1f} MB left: "
            "free some space, or choose another output"
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def manifest(model: bytes, weights_sha256: str) -> str:
    """Manifest.json; its identifiers, random in coremltools' packages, derive from the contents."""
    model_id = str(uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(model).hexdigest())).upper()
    weights_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{model_id} {weights_sha256}")).upper()
    entries = {
        model_id: {
            "author": AUTHOR,
            "description": "CoreML Model Specification",
            "name": "model.mlmodel",
            "path": f"{AUTHOR}/model.mlmodel",
        },
        weights_id: {
            "author": AUTHOR,
            "description": "CoreML Model Weights",
            "name": "weights",
            "path": f"{AUTHOR}/weights",
        },
    }
    content = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": dict(sorted(entries.items())),
        "rootModelIdentifier": model_id,
    }
    return json.dumps(content, indent=4) + "\n"
