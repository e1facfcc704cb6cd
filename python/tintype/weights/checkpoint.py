"""One component's tensors under the names that `models` use, with an account of what was asked for.

A model asks for every tensor that it needs, with the shape that its config implies. What is missing, has
another shape or was never asked for is collected, and `check` reports all of it in one error: the config and
the tensors must describe the same network.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import CheckpointError
from ..weight import ComputedWeight, Weight

__all__ = ["Checkpoint", "Rename"]

#: Keys named in an error before "and N more".
SHOWN = 12


@dataclass(frozen=True)
class Rename:
    """A row of a rename table: keys that match `pattern` in full become `key`, or are left out (None)."""

    pattern: str
    key: str | None

    def apply(self, name: str) -> str | None:
        """The key that `name` becomes; `name` itself if the row does not match."""
        match = re.fullmatch(self.pattern, name)
        if match is None:
            return name
        return None if self.key is None else match.expand(self.key)


class Checkpoint:
    """The tensors of `component`; implements `tintype.layers.WeightProvider`."""

    def __init__(self, component: str, tensors: Mapping[str, Weight], renames: Sequence[Rename] = ()) -> None:
        self.component = component
        self.tensors: dict[str, Weight] = {}
        self._original: dict[str, str] = {}
        for name, tensor in tensors.items():
            key: str | None = name
            for row in renames:
                key = row.apply(key) if key is not None else None
            # A key that needs no renaming wins over one that is renamed onto it (T5's tied embedding).
            if key is not None and (key == name or key not in tensors):
                self.tensors[key] = tensor
                self._original[key] = name
        self._asked: set[str] = set()
        self._missing: dict[str, tuple[int, ...]] = {}
        self._wrong: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self.tensors

    def get(self, key: str, shape: tuple[int, ...]) -> Weight:
        """The tensor `key`; a missing one, or one of another shape, is noted for `check`."""
        self._asked.add(key)
        tensor = self.tensors.get(key)
        if tensor is None:
            self._missing[key] = shape
        elif tensor.shape != shape:
            self._wrong[key] = (tensor.shape, shape)
        else:
            return tensor
        return ComputedWeight(key, shape, lambda: np.zeros(shape, np.float32))

    def check(self, ignore: Sequence[str] = ()) -> None:
        """CheckpointError listing every missing, unknown and misshapen key.

        Unknown are the keys that no model asked for, other than those that begin with one of `ignore`.
        """
        unknown = [
            self._original[key]
            for key in self.tensors
            if key not in self._asked and not key.startswith(tuple(ignore))
        ]
        parts = []
        if self._missing:
            parts.append(_listing("missing", (f"{k} {list(s)}" for k, s in self._missing.items())))
        if self._wrong:
            rows = (f"{k} has {list(a)}, expected {list(b)}" for k, (a, b) in self._wrong.items())
            parts.append(_listing("of the wrong shape", rows))
        if unknown:
            parts.append(_listing("unknown", unknown))
        if parts:
            raise CheckpointError(
                f"{self.component}: the tensors are not those of its config.json; {'; '.join(parts)}. "
                "Check that config and weights belong together and that every shard is there"
            )


def _listing(what: str, rows: Iterable[str]) -> str:
    lines = list(rows)
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return f"{len(lines)} {what}: {', '.join(lines[:SHOWN])}{more}"
