"""Protobuf messages as they lie in a file: fields by number, every length checked before it is used.

Nothing is decoded that nobody asks for, and no generated classes are needed.
"""

from collections.abc import Iterator
from typing import Any

__all__ = [
    "DamagedError",
    "entries",
    "fields",
    "first",
    "integers",
    "messages",
    "number_of",
    "text",
    "varint",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class DamagedError(Exception):
    """A message that is not valid protobuf."""


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """The number at `place`, and the place behind it."""
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise DamagedError(f"a number ends outside the file at byte {place}")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """(field number, int or memoryview) of every field of a message."""
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = varint(data, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise DamagedError(f"field {number} has the unknown wire type {kind}")
        if number == 0 or size > len(data) - place:
            raise DamagedError(f"field {number} of {size} bytes does not fit")
        yield number, data[place : place + size]
        place += size


def messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Every field `wanted` that is a message, a text or bytes."""
    for number, value in fields(data):
        if number == wanted:
            if not isinstance(value, memoryview):
                raise DamagedError(f"field {wanted} is a number, expected a message")
            yield value


def first(data: memoryview, wanted: int) -> memoryview:
    """The first of `messages`, empty if there is none."""
    return next(messages(data, wanted), memoryview(b""))


def number_of(data: memoryview, wanted: int, default: int = 0) -> int:
    """The first number in the field `wanted`."""
    for number, value in fields(data):
        if number == wanted and isinstance(value, int):
            return value
    return default


def text(data: memoryview) -> str:
    """UTF-8."""
    return bytes(data).decode("utf-8", "replace")


def entries(data: memoryview, wanted: int) -> Iterator[tuple[str, memoryview]]:
    """Entries of a map<string, message>."""
    for entry in messages(data, wanted):
        yield text(first(entry, 1)), first(entry, 2)


def integers(data: memoryview, wanted: int) -> list[int]:
    """A repeated integer field, packed or not."""
    found: list[int] = []
    for number, value in fields(data):
        if number != wanted:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        place = 0
        while place < len(value):
            size, place = varint(value, place)
            found.append(size)
    return found
