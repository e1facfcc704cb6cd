"""A folder that appears complete or not at all.

The work happens in a hidden folder beside the destination, `.NAME.tintype-XXXX`, whose writer holds a lock on
it; the last step renames it. A folder without a lock is a killed run's, or was kept to be resumed: the next
run takes it over if it may and can, else removes it.

What only a run itself needs lies in a `scratch_folder`, hidden and locked in the same way: those of killed
runs are removed when either kind of folder is made beside them.
"""

import errno
import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .. import names
from ..errors import ConversionError
from ..files import umask

__all__ = ["check_output", "is_full", "scratch_folder", "staged_folder", "sync_path"]

MARK = ".tintype-"
REPLACED = ".tintype-replaced"
SCRATCH = ".tintype-scratch-"
#: The names of scratch folders, with the letters that `mkdtemp` adds, and of nothing that is staged.
SCRATCHES = SCRATCH + 8 * "?"
#: What earlier releases called them. They held no lock, so their age says that no run needs them.
OLD_SCRATCHES = tuple(f".tintype-{what}-{8 * '?'}" for what in ("reference", "ranges"))
OLD_SECONDS = 24 * 3600.0


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
    try:
        if not output.name or output.is_symlink():  # the root; a link to itself
            raise ConversionError(f"{output} is no place for a folder: choose another output")
        output.parent.mkdir(parents=True, exist_ok=True)
        _put_back(output)
        check_output(output, overwrite, mark)
        _clear_scratches(output.parent)
        mine = f".{output.name}{MARK}"
        stage, lock = _clear(output.parent, f"{glob.escape(mine)}*", resumes) or _new(output.parent, mine)
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
        if is_full(error):
            raise ConversionError(
                f"{output} does not fit on the disk ({error.strerror}): free some space, or choose another "
                "output folder (--dry-run shows what is needed)"
            ) from error
        if error.errno == errno.EFBIG:
            raise ConversionError(
                f"{output} has a file that is larger than its disk or this process' limit (ulimit -f) takes: "
                "choose another output folder, or cut the denoiser into smaller packages (--max-chunk)"
            ) from error
        raise
    finally:
        # After a success the folder has its new name, and there is nothing here.
        if resumes is None or not resumes(stage):
            shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def is_full(error: BaseException | None) -> bool:
    """Whether it says that a disk, or somebody's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty hidden folder in `parent`, and remove it when the block ends. OSError where none can be
    made."""
    _clear_scratches(parent)
    folder, lock = _new(parent, SCRATCH)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _new(parent: Path, prefix: str) -> tuple[Path, int]:
    """A folder in `parent`, and the handle that holds its lock."""
    while True:
        stage = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):  # another run's clean-up was faster than the lock
            lock = os.open(stage, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: leftovers are never touched there
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, stage):
                return stage, lock
            os.close(lock)


def _clear_scratches(parent: Path) -> None:
    """Remove the scratch folders of killed runs."""
    _clear(parent, SCRATCHES)
    for path in (found for pattern in OLD_SCRATCHES for found in parent.glob(pattern)):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _clear(
    parent: Path, pattern: str, resumes: Callable[[Path], bool] | None = None
) -> tuple[Path, int] | None:
    """Remove what killed runs left in `parent`; the folder of one that may be resumed is left and returned,
    with the handle that holds its lock."""
    found = None
    for path in sorted(parent.glob(pattern)):
        lock = _lock(path)
        if lock is None:
            continue
        if found is None and resumes is not None and resumes(path):
            found = path, lock
        else:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
    return found


def _lock(path: Path) -> int | None:
    """A handle that holds the folder's lock; None where another run does, or has removed the folder."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, path):
            return handle
    os.close(handle)
    return None


def _is_at(handle: int, path: Path) -> bool:
    """Whether what was opened still has its name."""
    return path.exists() and os.path.samestat(os.fstat(handle), path.stat())


def check_output(output: Path, overwrite: bool, mark: str = names.BUNDLE_FILE) -> None:
    """ConversionError where `staged_folder` may not write `output` for what lies there."""
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
    check_output(output, overwrite, mark)
    replaced = output.with_name(f".{output.name}{REPLACED}")
    with ExitStack() as held:
        old = _wait_for(output)
        if old is not None:
            # Locked while it has another name, so that no other run takes it for a killed one's.
            held.callback(os.close, old)
            another = _wait_for(replaced)
            if another is not None:
                os.close(another)
                shutil.rmtree(replaced, ignore_errors=True)
            os.rename(output, replaced)
        try:
            os.rename(stage, output)
        except OSError as error:
            if replaced.exists() and not output.exists():
                os.rename(replaced, output)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(replaced, ignore_errors=True)
            raise ConversionError(
                f"another conversion has written {output} in the meantime: choose another output"
            ) from error
        shutil.rmtree(replaced, ignore_errors=True)
    sync_path(output.parent)


def _wait_for(folder: Path) -> int | None:
    """A handle that holds the folder's lock, once no other run does; None where there is none (any more)."""
    while True:
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_at(handle, folder):
            return handle
        os.close(handle)


def _put_back(output: Path) -> None:
    """Give a bundle that a killed overwrite has moved aside its name again, unless the name is taken."""
    replaced = output.with_name(f".{output.name}{REPLACED}")
    if not replaced.exists() or output.exists():
        return
    lock = _lock(replaced)
    if lock is not None:
        if not output.exists():
            os.rename(replaced, output)
        os.close(lock)


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
