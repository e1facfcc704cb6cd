"""The programs of a plan's components, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Part", "whole_components"]

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """A program of a component, or what was made of it: its number among the component's, from 1, and how
    many there are. Those of a component come in order; the number 1 again says that those before are void."""

    component: str
    number: int
    count: int
    made: T


def whole_components(parts: Iterator[Part[T]]) -> Iterator[tuple[str, list[T]]]:
    """Each component with what was made of all its programs."""
    made: list[T] = []
    for part in parts:
        made = [*(made if part.number > 1 else ()), part.made]
        if part.number == part.count:
            yield part.component, made
