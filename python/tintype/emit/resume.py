"""What an interrupted conversion leaves for the next one: finished components, and what they were made of.

The staging folder holds `progress.json`: a fingerprint, and the row of every finished component. A
conversion that resumes takes over a folder with its own fingerprint, checks the packages against their
hashes, and removes what is not recorded. The fingerprint covers the choices, the converter's own sources, and
name, size and time of every file of the checkpoint and of LoRAs.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..bundle import Component
from ..bundle_components import component_json, read_component
from ..bundle_reader import BundleReader
from ..errors import BundleError
from ..files import converter_sources
from .plan import Plan
from .staging import sync_path

__all__ = ["PROGRESS_FILE", "Record", "fingerprint", "matches"]

PROGRESS_FILE = "progress.json"

WEIGHT_FILE = Path("Data/com.apple.CoreML/weights/weight.bin")
READ_BYTES = 1 << 22


class Record:
    """The finished components of a conversion with this `fingerprint`, in the folder `stage`."""

    def __init__(self, stage: Path, fingerprint: str) -> None:
        self._file, self._fingerprint = stage / PROGRESS_FILE, fingerprint
        self.finished: dict[str, Component] = {}

    def restore(self) -> None:
        """Take over what is recorded and whole; remove everything else in the folder."""
        for name, component in _recorded(self._file, self._fingerprint).items():
            if all(_is_whole(self._file.parent / p.path, p.sha256) for p in component.parts):
                self.finished[name] = component
        kept = {part.path for component in self.finished.values() for part in component.parts}
        for path in self._file.parent.iterdir():
            if path.name in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._write()

    def add(self, name: str, component: Component) -> None:
        """Record a component whose packages are written."""
        for part in component.parts:
            for path in (self._file.parent / part.path).rglob("*"):
                sync_path(path)
        self.finished[name] = component
        self._write()

    def remove(self) -> None:
        """Forget: the bundle is complete."""
        self._file.unlink()

    def _write(self) -> None:
        rows = {name: component_json(component) for name, component in self.finished.items()}
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps({"fingerprint": self._fingerprint, "components": rows}), encoding="utf-8")
        sync_path(draft)
        os.replace(draft, self._file)


def fingerprint(plan: Plan, quantize: str, sources: Iterator[Path]) -> str:
    """A hash of all that decides the bytes of the packages; `sources` are the checkpoint's files."""
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in converter_sources()]
    files = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(sources)]
    choices: dict[str, Any] = {
        "quantize": quantize,
        "family": plan.family.name,
        "components": plan.components,
        "precision": plan.precision,
        "target": plan.target,
        "batch": plan.batch,
        "sizes": [asdict(size) for size in plan.sizes],
        "max_chunk": plan.max_chunk,
        "lora": [lora.to_json() for lora in plan.loras],
        "context": asdict(plan.context),
        "config": plan.config(),
    }
    text = json.dumps([choices, digests, files], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def matches(stage: Path, fingerprint: str) -> bool:
    """Whether the folder is what a conversion with this fingerprint left."""
    return bool(_recorded(stage / PROGRESS_FILE, fingerprint))


def _recorded(file: Path, fingerprint: str) -> dict[str, Component]:
    """The components that the file records for this fingerprint; none if it is missing or damaged."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["fingerprint"] != fingerprint:
            return {}
        rows = data["components"].items()
        return {name: read_component(BundleReader(row, str(file), f"{name}.")) for name, row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BundleError):
        return {}


def _is_whole(package: Path, sha256: str) -> bool:
    digest = hashlib.sha256()
    try:
        with (package / WEIGHT_FILE).open("rb") as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == sha256 and (package / "Manifest.json").is_file()
