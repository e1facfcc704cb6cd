"""The embedded default model: a tiny trained pipeline, converted into the cache folder on first use.

The checkpoint (`_demo_model`, Stable Diffusion 3 layout) travels with the package; its bundle is made once
per content and release. Two processes may do so at the same time: each writes a folder of its own, and the
first rename wins. `TINTYPE_CACHE` names another cache folder than the system's.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ._bridge import VERSION
from .bundle import Bundle
from .errors import BundleError, ConversionError

__all__ = ["EMBEDDED_NAME", "cache_folder", "embedded_bundle", "embedded_checkpoint"]

EMBEDDED_NAME = "tintype-demo"

#: What a Neural Engine runs, and what the checkpoint holds.
PRECISION: Final = "float16"

#: Parts of the package whose change makes another bundle of the same checkpoint.
CONVERTER: Final = ("emit", "layers", "models", "weights", "pipeline/preview.py")


def cache_folder() -> Path:
    """Where converted models are kept: `TINTYPE_CACHE`, or the system's cache folder for "tintype"."""
    named = os.environ.get("TINTYPE_CACHE")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return Path(user_cache_path("tintype", appauthor=False))


def embedded_checkpoint() -> Path:
    """The checkpoint's folder inside the package; BundleError if the installation lacks it."""
    folder = Path(__file__).parent / "_demo_model"
    if not (folder / "model_index.json").is_file():
        raise BundleError(f"the embedded model is missing from {folder}: reinstall tintype")
    return folder


def embedded_bundle(
    cache: str | os.PathLike[str] | None = None, progress: Callable[..., Any] | None = None
) -> Bundle:
    """The embedded model's bundle, converted if the cache lacks it or holds a damaged one.

    cache      folder to keep it in; None: `cache_folder()`
    progress   handed to `tintype.convert`

    Raises ConversionError, naming the folder and the remedy, if the cache cannot be written.
    """
    source = embedded_checkpoint()
    folder = Path(cache) if cache is not None else cache_folder()
    target = folder / f"{EMBEDDED_NAME}-{_key(source)}"
    if target.is_dir():
        try:
            return Bundle.read(target)
        except BundleError:
            shutil.rmtree(target, ignore_errors=True)  # damaged from outside: made again below
    private = folder / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Imported here: the pipeline reaches this module, and must not drag the converter in.
        from .emit import convert
        from .verify import record_previews

        made = private / EMBEDDED_NAME
        convert(source, made, precision=PRECISION, progress=progress, gate=record_previews)
        _publish(made, target)
    except OSError as error:
        raise ConversionError(
            f"the embedded model cannot be converted into {folder} ({error.strerror or error}): "
            f"make that folder writable, or name another one with TINTYPE_CACHE"
        ) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return Bundle.read(target)


def _publish(made: Path, target: Path) -> None:
    """Renames `made` to `target`, unless another process was faster."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _sources(part: Path) -> list[Path]:
    return [part] if part.is_file() else list(part.rglob("*.py"))


def _key(source: Path) -> str:
    """Hash of the checkpoint's files and of the release and the sources that convert them."""
    digest = hashlib.sha256()
    digest.update(VERSION.encode())
    package = Path(__file__).parent
    files = [p for p in source.rglob("*") if p.is_file()]
    files += [p for part in CONVERTER for p in _sources(package / part)]
    for file in sorted(files):
        digest.update(file.relative_to(package).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
