"""Every exception that Tintype raises on purpose. A leaf module: anything may import it, it imports nothing.

`TintypeError` is the root. What a runtime refuses (the C++ engine or the Swift runtime, through the C ABI) is
an `EngineError`; its text is the C error's text to the letter. The classes below it also inherit the built-in
exception that a Python programmer would catch.
"""

__all__ = [
    "BackendUnavailable",
    "BundleError",
    "Cancelled",
    "CheckpointError",
    "ConversionError",
    "EngineError",
    "InvalidInputError",
    "ModelFileError",
    "ModelFormatError",
    "OutOfMemoryError",
    "TintypeError",
    "UnsupportedModelError",
    "UsageError",
]


class TintypeError(Exception):
    """Root of all exceptions that Tintype raises on purpose."""


class UsageError(TintypeError, ValueError):
    """A value that the caller chose is not usable (steps, size, guidance scale, backend name …)."""


class BundleError(TintypeError):
    """A bundle folder is missing, incomplete, damaged or of an unknown version."""


class CheckpointError(TintypeError):
    """A source checkpoint is missing files or keys, or holds tensors of unexpected shapes."""


class ConversionError(TintypeError):
    """A conversion cannot be done as asked, or its result failed a check."""


class BackendUnavailable(TintypeError, RuntimeError):  # noqa: N818 - a state, not a mistake
    """The named backend does not exist on this machine; the text says why and what would help."""


class EngineError(TintypeError, RuntimeError):
    """A runtime refused or failed. `status` is the C ABI's code (bridge/c/tintype.h)."""

    status = 5


class InvalidInputError(EngineError, ValueError):
    """Inputs of the wrong name, dtype or shape."""

    status = 1


class ModelFileError(EngineError, OSError):
    """A model's file is missing or cannot be read."""

    status = 2


class ModelFormatError(EngineError):
    """A model's file is damaged or contradicts itself."""

    status = 3


class UnsupportedModelError(EngineError):
    """A valid model that this runtime cannot run: an op, a dtype, a feature."""

    status = 4


class Cancelled(EngineError):  # noqa: N818 - a wish, not a mistake
    """A predict ended early because its progress function said so."""

    status = 8


class OutOfMemoryError(EngineError, MemoryError):
    """The computation needs more memory than there is."""

    status = 6
