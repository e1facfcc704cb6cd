"""What may be taken for a number, numbers of bytes in words, and JSON from files that others wrote.

A leaf module: anything may import it, it imports nothing.
"""

import json
import math
import numbers
from collections.abc import Callable
from typing import Any

__all__ = ["bytes_text", "decode_json", "finite", "is_count", "is_number", "shown"]


def decode_json(text: "str | bytes", pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value that `text`, perhaps with a byte order mark, says; ValueError for all that is wrong with it,
    nesting without end included. `pairs`, which raises nothing, makes an object of its keys and values."""
    try:
        text = text if isinstance(text, bytes) else text.removeprefix("\ufeff")
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:
        raise ValueError("it holds an integer of thousands of digits") from error


def shown(value: Any) -> str:
    """`value` for a message: its `repr`, of at most 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes integers of no more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number that a float can hold; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def finite(value: Any) -> float | None:
    """`value`, a real number of any type (NumPy's, too), as a float; None for what is none or not finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_count(value: Any, minimum: int = 1) -> bool:
    """Whether `value` is an integer of at least `minimum`; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def bytes_text(count: int) -> str:
    """12.3 MB"""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the loop ends with GB")
