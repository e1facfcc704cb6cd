"""Where the float32 reference of a measurement lies: beside the bundle, for as long as it takes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..bundle import Bundle
from ..errors import ConversionError, UsageError

__all__ = ["reference_folder", "root_of"]


def root_of(bundle: Bundle) -> Path:
    """The bundle's folder; UsageError where it has none."""
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
    return bundle.root


@contextmanager
def reference_folder(bundle: Bundle) -> Iterator[Path]:
    """Yield an empty folder beside `bundle` and remove it when the block ends.

    ConversionError, from the OSError, where what the block writes does not fit on the disk, or where nothing
    can be written there.
    """
    from ..emit.staging import is_full, scratch_folder

    place = root_of(bundle).parent
    try:
        with scratch_folder(place) as folder:
            yield folder
    except (OSError, ConversionError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ConversionError(
                f"the float32 reference lies beside the bundle, but {place} cannot be written "
                f"({cause.strerror}): copy the bundle to a folder that can"
            ) from cause
        if not is_full(cause):
            raise
        raise ConversionError(
            f"the float32 reference that the bundle is measured against does not fit on the disk of {place}: "
            "free some space"
        ) from cause
