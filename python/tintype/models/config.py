"""Reading a component's config.json into a frozen dataclass: typed fields, and errors that name the key."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..values import is_count, is_number, shown

__all__ = ["ConfigReader"]

#: The largest dimension: the published models end at 49,408 tokens and widths of 15,360. Larger ones are
#: mistakes, which would cost minutes until the tensors tell.
MAX_COUNT = 2**20

#: Blocks of a network. Each becomes ops of its own; the largest published model has 57.
MAX_LAYERS = 1000

FLOAT32_MAX, FLOAT32_TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)


class ConfigReader:
    """Typed access to the decoded config of `component`; every failure is a CheckpointError."""

    def __init__(self, data: Mapping[str, Any], component: str) -> None:
        self.data, self.component = data, component

    def count(self, key: str, default: int | None = None, minimum: int = 1, maximum: int = MAX_COUNT) -> int:
        """An integer from `minimum` to `maximum`."""
        value = self._value(key, default)
        if not is_count(value, minimum) or value > maximum:
            self.fail(key, value, f"an integer from {minimum} to {maximum}")
        return int(value)

    def layers(self, key: str, minimum: int = 1) -> int:
        """A number of blocks."""
        return self.count(key, minimum=minimum, maximum=MAX_LAYERS)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number that float32 holds."""
        value = self._value(key, default)
        if not is_number(value):
            self.fail(key, value, "a finite number")
        if abs(value) > FLOAT32_MAX:
            self.fail(key, value, "a number that float32 holds")
        return float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        """A number above 0 that float32 holds with all of its digits."""
        value = self.number(key, default)
        if value <= 0:
            self.fail(key, value, "a number above 0")
        if value < FLOAT32_TINY:
            self.fail(key, value, f"a number above 0 that float32 holds, of at least {FLOAT32_TINY:.3g}")
        return value

    def epsilon(self, key: str, default: float) -> float:
        """What a norm adds to a variance: above 0, and at most 1."""
        value = self.positive(key, default)
        if value > 1:
            self.fail(key, value, "a number above 0 and at most 1")
        return value

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
        """A list of integers from `minimum` to MAX_COUNT."""
        value = self._value(key, default)
        if not isinstance(value, (list, tuple)) or not all(
            is_count(n, minimum) and n <= MAX_COUNT for n in value
        ):
            self.fail(key, value, f"a list of integers from {minimum} to {MAX_COUNT}")
        return tuple(value)

    def divides(self, key: str, value: int, by: int, what: str) -> None:
        """Check that `value` (of `key`) is a multiple of `by`, described by `what`."""
        if by <= 0 or value % by:
            self.fail(key, value, f"a multiple of {what} {by}")

    def fail(self, key: str, value: Any, expected: str) -> None:
        """Raise for the key."""
        raise CheckpointError(
            f"{self.component}/config.json: {key} is {shown(value)}, expected {expected}: "
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
