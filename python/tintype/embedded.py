"""The cache folder, and the embedded default model: a tiny trained pipeline, converted into it on first use.

The checkpoint (`_demo_model`, Stable Diffusion 3 layout) travels with the package; its bundle is made once
per content and release. `TINTYPE_CACHE` names another cache folder than the system's.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ._bridge import VERSION
from .bundle import Bundle
from .errors import BundleError, ConversionError
from .files import converter_sources

__all__ = ["EMBEDDED_NAME", "cache_folder", "cached_conversion", "embedded_bundle", "embedded_checkpoint"]

EMBEDDED_NAME = "tintype-demo"

#: What a Neural Engine runs, and what the checkpoint holds.
PRECISION: Final = "float16"


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

    def gate(bundle: Bundle) -> None:
        from .verify import record_previews

        record_previews(bundle)

    return cached_conversion(target, source, precision=PRECISION, progress=progress, gate=gate)


def cached_conversion(target: Path, source: "str | Path", **choices: Any) -> Bundle:
    """The bundle `target` in the cache, converted from `source` if it is missing or damaged.

    `choices` are those of `tintype.emit.convert`. Several processes may do so at the same time: the first to
    end wins. Raises as `convert`, and ConversionError, naming the folder and the remedy, if the cache cannot
    be written.
    """
    if target.is_dir():
        try:
            return Bundle.read(target)
        except BundleError:
            shutil.rmtree(target, ignore_errors=True)  # damaged from outside: made again below
    # Imported here: the pipeline reaches this module, and must not drag the converter in.
    from .emit import convert

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return convert(source, target, **choices)
    except ConversionError:
        if not target.is_dir():
            raise
        return Bundle.read(target)  # another process was faster
    except OSError as error:
        raise ConversionError(
            f"{source} cannot be converted into {target.parent} ({error.strerror or error}): make that "
            "folder writable, or name another one with TINTYPE_CACHE"
        ) from error


def _key(source: Path) -> str:
    """Hash of the checkpoint's files and of the release and the sources that convert them."""
    digest = hashlib.sha256()
    digest.update(VERSION.encode())
    package = Path(__file__).parent
    for file in sorted([*converter_sources(), *(p for p in source.rglob("*") if p.is_file())]):
        digest.update(file.relative_to(package).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
