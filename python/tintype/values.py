"""What may be taken for a number, numbers of bytes in words, and JSON from files that others wrote.

A leaf module: anything may import it, it imports nothing.
"""

import json
import math
import numbers
from typing import Any

__all__ = ["bytes_text", "decode_json", "finite", "is_count", "is_number"]


def decode_json(text: "str | bytes") -> Any:
    """The value that `text` says; ValueError for all that is wrong with it, nesting without end included."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


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
