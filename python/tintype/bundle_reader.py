"""Reading `bundle.json`: typed access to JSON objects, with errors that name file, key, value and remedy.

A leaf module of `bundle`; it knows JSON, not the format.
"""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from .errors import BundleError
from .values import is_count, is_number, shown

__all__ = ["BundleReader"]


class BundleReader:
    """Typed access to one JSON object; every failure names file, key, value and remedy."""

    def __init__(self, data: Any, file: str, prefix: str) -> None:
        self._file, self.prefix = file, prefix
        if not isinstance(data, dict):
            where = f"{prefix.rstrip('.')} is" if prefix else "holds"
            raise BundleError(f"{file}: {where} {shown(data)}, expected an object: convert the model again")
        self.data: dict[str, Any] = data

    def child(self, key: str) -> "BundleReader":
        """The object `key`."""
        return BundleReader(self.get(key), self._file, f"{self.prefix}{key}.")

    def elements(self, key: str) -> list["BundleReader"]:
        """The objects of the list `key`, which must not be empty."""
        rows = self.typed(key, lambda v: isinstance(v, list) and v, "a non-empty list", None)
        return [BundleReader(row, self._file, f"{self.prefix}{key}[{i}].") for i, row in enumerate(rows)]

    def constant(self, key: str, expected: Any, remedy: str) -> None:
        """Check that `key` is `expected`."""
        value = self.get(key, remedy)
        if value != expected or isinstance(value, bool):
            self.fail(key, value, repr(expected), remedy)

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        return str(self.typed(key, lambda v: isinstance(v, str), "a string", default))

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`."""
        expected = f"one of {', '.join(allowed)}"
        return str(self.typed(key, lambda v: v in allowed, expected, None))

    def count(self, key: str, minimum: int = 1, default: int | None = None) -> int:
        """An integer of at least `minimum`."""

        def valid(value: Any) -> bool:
            return is_count(value, minimum)

        return int(self.typed(key, valid, f"an integer of at least {minimum}", default))

    def number(self, key: str, nonzero: bool = False) -> float:
        """A finite number."""

        def valid(value: Any) -> bool:
            return is_number(value) and (value != 0 or not nonzero)

        return float(self.typed(key, valid, "a finite number" + (" other than 0" if nonzero else ""), None))

    def mapping(self, key: str) -> dict[str, Any]:
        """Any object; empty if it is not there."""
        return dict(self.typed(key, lambda v: isinstance(v, dict), "an object", {}))

    def path(self, key: str) -> str:
        """A path inside the bundle."""
        value = self.text(key)
        pure = PurePosixPath(value)
        windows = "\\" in value or ":" in value
        if not pure.parts or pure.is_absolute() or ".." in pure.parts or windows or "\0" in value:
            self.fail(
                key, value, "a relative path inside the bundle, without '..'", "convert the model again"
            )
        return value

    def get(self, key: str, remedy: str = "convert the model again") -> Any:
        """The value of `key`, whatever it is."""
        if key not in self.data:
            raise BundleError(f"{self._file}: {self.prefix}{key} is missing: {remedy}")
        return self.data[key]

    def typed(self, key: str, valid: Callable[[Any], Any], expected: str, default: Any) -> Any:
        """The value of `key`, which must be `valid`."""
        if default is not None and key not in self.data:
            return default
        value = self.get(key)
        try:
            good = bool(valid(value))
        except TypeError:
            good = False
        if not good:
            self.fail(key, value, expected, "convert the model again")
        return value

    def fail(self, key: str, value: Any, expected: str, remedy: str) -> None:
        """Raise BundleError for the key."""
        raise BundleError(
            f"{self._file}: {self.prefix}{key} is {shown(value)}, expected {expected}: {remedy}"
        )
