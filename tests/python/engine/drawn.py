"""Programs that hypothesis draws: what the families' generators (`drawn_*.py`) share.

A generator is a function of a `Draw` that returns a `Case`; its inputs may be 0-d, and any of them may become a
constant of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from .programs import TOLERANCE, Case, mb, run, value_inference

__all__ = ["Chosen", "Draw", "Generator", "check_case", "check_drawn", "with_constants"]


class Draw:
    """Small choices out of hypothesis' stream, so that a failure shrinks to the plainest program."""

    def __init__(self, data: st.DataObject):
        self._data = data
        self._random = np.random.RandomState(self.integer(0, 2**16))

    def integer(self, lowest: int, highest: int) -> int:
        return self._data.draw(st.integers(lowest, highest))

    def choice(self, values: Sequence[Any]) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def flag(self) -> bool:
        return self.choice([False, True])

    def dtype(self) -> Any:
        return self.choice([np.float32, np.float16])

    def shape(self, lowest: int = 0, highest: int = 5, longest: int = 5) -> tuple[int, ...]:
        """A shape of rank `lowest` to `highest`."""
        return tuple(self.integer(1, longest) for _ in range(self.integer(lowest, highest)))

    def batch(self, most: int = 2) -> int:
        """The length of a leading axis that may be empty."""
        return self.integer(1, most)

    def broadcast_pair(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two shapes that broadcast."""
        whole = self.shape(0, 4)
        parts = []
        for _ in range(2):
            kept = whole[self.integer(0, len(whole)) :] if self.flag() else whole
            parts.append(tuple(1 if self.integer(0, 3) == 3 else n for n in kept))
        return parts[0], parts[1]

    def axis(self, rank: int) -> int:
        """An axis, counted from either end."""
        return self.integer(-rank, rank - 1)

    def axes(self, rank: int) -> list[int]:
        """One or more different axes, each counted from either end."""
        chosen = [a for a in range(rank) if self.flag()] or [self.integer(0, rank - 1)]
        return [a - rank if self.flag() else a for a in chosen]

    def floats(self, shape: Sequence[int], dtype: Any = np.float32, low: float = -3, high: float = 3):
        return self._random.uniform(low, high, tuple(shape)).astype(dtype)

    def integers(self, shape: Sequence[int], low: int = -9, high: int = 9) -> np.ndarray:
        return self._random.randint(low, high + 1, tuple(shape)).astype(np.int32)

    def permutation(self, count: int) -> np.ndarray:
        return self._random.permutation(count)

    def distinct(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """Values in a random order, none twice."""
        return (self._random.permutation(int(np.prod(shape))).reshape(tuple(shape)) - 3).astype(dtype)


class Chosen(Draw):
    """The same from a seed, without hypothesis."""

    def __init__(self, seed: int):
        self._choices = np.random.RandomState(seed)
        self._random = np.random.RandomState(seed)

    def integer(self, lowest: int, highest: int) -> int:
        return int(self._choices.randint(lowest, highest + 1))


Generator = Callable[[Draw], Case]


def with_constants(case: Case, constants: set[str]) -> Case:
    """The case with some inputs as constants of the program, and 0-d inputs (which no package has) of shape [1]."""

    def op(**given):
        tensors = {}
        for name, value in case.inputs.items():
            if name in constants:
                tensors[name] = mb.const(val=value)
            else:
                var = given[name]
                tensors[name] = mb.squeeze(x=var, axes=[0]) if value.ndim == 0 else var
        outputs = case.op(**tensors)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [mb.expand_dims(x=var, axes=[0]) if var.rank == 0 else var for var in outputs]

    left = {n: v.reshape(1) if v.ndim == 0 else v for n, v in case.inputs.items() if n not in constants}
    return replace(case, op=op, inputs=left)


def _reference(case: Case) -> list[np.ndarray]:
    """What the outputs should be: by the case's own reference, else by coremltools' value inference."""
    if case.reference is None:
        inferred = value_inference(case)
        assert all(each.dtype != object for each in inferred), f"{case.name} has no value inference"
        return inferred
    with np.errstate(all="ignore"):
        result = case.reference(*case.inputs.values())
    return [np.asarray(each) for each in (result if isinstance(result, list | tuple) else [result])]


def _compare(case: Case, got: np.ndarray, want: np.ndarray) -> None:
    want = want.reshape(1) if want.ndim == 0 else want
    assert got.shape == want.shape, f"{case.name}: shape {got.shape}, expected {want.shape}"
    tolerance = TOLERANCE[got.dtype] if case.tolerance is None else case.tolerance
    got, want = got.astype(np.float64), want.astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0, np.abs(got - want))
    scale = max(1e-3, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
    assert float(error.max(initial=0)) <= tolerance * scale, f"{case.name}: got {got}, expected {want}"


def check_drawn(draw: Draw, generator: Generator) -> None:
    """Draws a program, runs it, and compares every output with every reference there is."""
    case = generator(draw)
    names = list(case.inputs)
    kept = draw.choice(names)
    constants = {n for n in names if n != kept and case.constant_inputs and draw.flag()}
    check_case(case, constants)


def check_case(case: Case, constants: set[str]) -> None:
    """Runs the case and compares every output with every reference there is."""
    actual, expected = run(with_constants(case, constants)), _reference(case)
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected, strict=True):
        _compare(case, got, want)
