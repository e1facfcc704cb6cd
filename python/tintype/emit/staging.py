"""A folder that appears complete or not at all.

The work happens in a hidden folder beside the destination, `.NAME.tintype-XXXX`, whose writer holds a lock on
it; the last step renames it. A folder without a lock is a killed run's and is removed by the next run.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import names
from ..errors import ConversionError

__all__ = ["staged_folder"]

MARK = ".tintype-"
REPLACED = ".tintype-replaced"


@contextmanager
def staged_folder(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder to fill; when the block ends without an exception it becomes `output`, else it is
    removed.

    ConversionError when `output` exists and `overwrite` is false, or when it is not a bundle (only a bundle
    or an empty folder is ever replaced), or when its parent cannot be written.
    """
    output = Path(os.path.realpath(output))  # a link stays, what it points to is replaced
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(output)
        _check(output, overwrite)
        stage = Path(tempfile.mkdtemp(prefix=f".{output.name}{MARK}", dir=output.parent))
    except OSError as error:
        raise ConversionError(
            f"cannot write to {output.parent} ({error.strerror}): choose another output folder"
        ) from error
    lock = os.open(stage, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: leftovers are never touched there
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield stage
        stage.chmod(0o777 & ~_umask())
        _sync(stage)
        _publish(stage, output, overwrite)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _check(output: Path, overwrite: bool) -> None:
    if not output.exists():
        return
    empty = output.is_dir() and not any(output.iterdir())
    if not overwrite and not empty:
        raise ConversionError(
            f"{output} exists: choose another output, or allow it to be overwritten (--overwrite)"
        )
    if not empty and not (output / names.BUNDLE_FILE).is_file():
        raise ConversionError(
            f"{output} is not a Tintype bundle, so it is not overwritten: choose another output"
        )


def _publish(stage: Path, output: Path, overwrite: bool) -> None:
    _check(output, overwrite)
    replaced = output.with_name(f".{output.name}{REPLACED}")
    if output.exists():
        os.rename(output, replaced)
    os.rename(stage, output)
    shutil.rmtree(replaced, ignore_errors=True)
    _sync_path(output.parent)


def _clean_up(output: Path) -> None:
    """Remove what killed runs left, and put back an old bundle that one had moved aside."""
    replaced = output.with_name(f".{output.name}{REPLACED}")
    if replaced.exists() and not output.exists():
        os.rename(replaced, output)
    for path in output.parent.glob(f".{output.name}{MARK}*"):
        if path.is_dir() and not _is_locked(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync_path(path)
    _sync_path(folder)


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
