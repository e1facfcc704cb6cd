"""Files that appear complete or not at all, and those of the converter.

A leaf module: anything may import it, it imports errors alone.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import UsageError

__all__ = ["atomic_write", "check_writable", "converter_sources", "umask"]

#: The parts of the package that decide what a conversion writes; so do the modules beside them.
CONVERTER = ("compress", "emit", "layers", "models", "weights")
PREVIEWS = ("pipeline/preview.py", "verify/previews.py")


def check_writable(target: Path) -> None:
    """UsageError if no file can be written at `target`."""
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist: make it, or name another file")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file")
    try:
        # Tried, not asked: permissions alone do not tell of read-only and special file systems.
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written ({error.strerror}): name a file in a folder that can"
        ) from error


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A file beside `target` to write to; it replaces `target` if the block ends well, else it goes away.

    An OSError names `target`, not that file.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, target)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise


def umask() -> int:
    """The permissions that files and folders are made without."""
    # The mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def converter_sources() -> list[Path]:
    """The source files whose change makes another bundle of the same checkpoint, sorted."""
    package = Path(__file__).parent
    found = [*package.glob("*.py"), *(package / file for file in PREVIEWS)]
    return sorted(found + [file for part in CONVERTER for file in (package / part).rglob("*.py")])
