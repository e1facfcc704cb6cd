"""Reading a component's config.json into a frozen dataclass: typed fields, and errors that name the key."""

from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError

__all__ = ["ConfigReader"]


class ConfigReader:
    """Typed access to the decoded config of `component`; every failure is a CheckpointError."""

    def __init__(self, data: Mapping[str, Any], component: str) -> None:
        self.data, self.component = data, component

    def count(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        """An integer of at least `minimum`."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            self.fail(key, value, f"an integer of at least {minimum}")
        return int(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) == float("inf"):
            self.fail(key, value, "a number")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A boolean."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            self.fail(key, value, "true or false")
        return bool(value)

    def choice(self, key: str, allowed: tuple[Any, ...], default: Any = ...) -> Any:
        """One of `allowed`."""
        value = self.data.get(key, default) if default is not ... else self._value(key, None)
        if value not in allowed:
            self.fail(key, value, f"one of {', '.join(map(repr, allowed))}")
        return value

    def counts(self, key: str, default: tuple[int, ...] | None = None, minimum: int = 1) -> tuple[int, ...]:
        """A list of integers of at least `minimum`."""
        value = self._value(key, default)
        good = isinstance(value, (list, tuple)) and all(
            isinstance(n, int) and not isinstance(n, bool) and n >= minimum for n in value
        )
        if not good:
            self.fail(key, value, f"a list of integers of at least {minimum}")
        return tuple(value)

    def divides(self, key: str, value: int, by: int, what: str) -> None:
        """Check that `value` (of `key`) is a multiple of `by`, described by `what`."""
        if by <= 0 or value % by:
            self.fail(key, value, f"a multiple of {what} {by}")

    def fail(self, key: str, value: Any, expected: str) -> None:
        """Raise for the key."""
        raise CheckpointError(
            f"{self.component}/config.json: {key} is {value!r}, expected {expected}: "
            f"this checkpoint is of a kind that Tintype cannot convert, or the file is damaged"
        )

    def _value(self, key: str, default: Any) -> Any:
        if key in self.data:
            return self.data[key]
        if default is None:
            raise CheckpointError(
                f"{self.component}/config.json: {key} is missing: download the checkpoint again"
            )
        return default
