"""What may be taken for a number, and JSON from files that others wrote.

A leaf module: anything may import it, it imports nothing.
"""

import json
import math
from typing import Any

__all__ = ["decode_json", "is_count", "is_number"]


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


def is_count(value: Any, minimum: int = 1) -> bool:
    """Whether `value` is an integer of at least `minimum`; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum
