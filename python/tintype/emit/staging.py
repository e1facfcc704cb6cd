"""A folder that appears complete or not at all.

The work happens in a hidden folder beside the destination, `.NAME.tintype-XXXX`, whose writer holds a lock on
it; the last step renames it. A folder without a lock is a killed run's, or was kept to be resumed: the next
run takes it over if it may and can, else removes it.
"""

import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import names
from ..errors import ConversionError
from ..files import umask

__all__ = ["staged_folder", "sync_path"]

MARK = ".tintype-"
REPLACED = ".tintype-replaced"


@contextmanager
def staged_folder(
    output: Path,
    *,
    overwrite: bool,
    resumes: Callable[[Path], bool] | None = None,
    mark: str = names.BUNDLE_FILE,
) -> Iterator[Path]:
    """Yield a folder to fill; when the block ends without an exception it becomes `output`, else it is
    removed.

    With `resumes`, a killed run's folder for which it says True is yielded as it is, and after an exception
    the folder is kept where it says so.

    ConversionError when `output` exists and `overwrite` is false, or when it has no file called `mark` (only
    what this writes, or an empty folder, is ever replaced), or when its parent cannot be written.
    """
    output = Path(os.path.realpath(output))  # a link stays, what it points to is replaced
    if not output.name or output.is_symlink():  # the root; a link to itself
        raise ConversionError(f"{output} is no place for a folder: choose another output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        left = _clean_up(output, resumes)
        _check(output, overwrite, mark)
        stage, lock = _locked(left, output)
    except OSError as error:
        raise ConversionError(
            f"cannot write to {output.parent} ({error.strerror}): choose another output folder"
        ) from error
    try:
        yield stage
        stage.chmod(0o777 & ~umask())
        _sync(stage)
        _publish(stage, output, overwrite, mark)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConversionError(
                f"{output} does not fit on the disk ({error.strerror}): free some space, or choose another "
                "output folder (--dry-run shows what is needed)"
            ) from error
        raise
    finally:
        # After a success the folder has its new name, and there is nothing here.
        if resumes is None or not resumes(stage):
            shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _locked(left: Path | None, output: Path) -> tuple[Path, int]:
    """The folder `left`, or a new one where another run was faster; and the handle that holds its lock."""
    if left is not None:
        lock = os.open(left, os.O_RDONLY)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return left, lock
        os.close(lock)
    stage = Path(tempfile.mkdtemp(prefix=f".{output.name}{MARK}", dir=output.parent))
    lock = os.open(stage, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks: leftovers are never touched there
        fcntl.flock(lock, fcntl.LOCK_EX)
    return stage, lock


def _check(output: Path, overwrite: bool, mark: str) -> None:
    if not output.exists():
        return
    empty = output.is_dir() and not any(output.iterdir())
    if not overwrite and not empty:
        raise ConversionError(
            f"{output} exists: choose another output, or allow it to be overwritten (--overwrite)"
        )
    if not empty and not (output / mark).is_file():
        kind = "is not a Tintype bundle" if mark == names.BUNDLE_FILE else f"has no {mark} of Tintype's"
        raise ConversionError(f"{output} {kind}, so it is not overwritten: choose another output")


def _publish(stage: Path, output: Path, overwrite: bool, mark: str) -> None:
    _check(output, overwrite, mark)
    replaced = output.with_name(f".{output.name}{REPLACED}")
    if output.exists():
        os.rename(output, replaced)
    os.rename(stage, output)
    shutil.rmtree(replaced, ignore_errors=True)
    sync_path(output.parent)


def _clean_up(output: Path, resumes: Callable[[Path], bool] | None) -> Path | None:
    """Remove what killed runs left, and put back an old bundle that one had moved aside; the folder of a
    killed run that may be resumed is left and returned."""
    replaced = output.with_name(f".{output.name}{REPLACED}")
    if replaced.exists() and not output.exists():
        os.rename(replaced, output)
    found = None
    for path in sorted(output.parent.glob(glob.escape(f".{output.name}{MARK}") + "*")):
        if not path.is_dir() or _is_locked(path):
            continue
        if found is None and resumes is not None and resumes(path):
            found = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return found


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
        sync_path(path)
    sync_path(folder)


def sync_path(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
