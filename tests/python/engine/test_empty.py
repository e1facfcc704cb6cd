"""Ops on tensors with an axis of length 0: the empty result that numpy has, or a refusal; never a crash."""

import contextlib

import numpy as np
import pytest

from . import ctypes_api
from .drawn import Chosen, Generator, check_case
from .programs import Case, mb, run
from .test_drawn import GENERATORS

#: Ops whose cases have no axis that may be empty, and why.
NEVER = {
    "batch_to_space": "the batch holds whole blocks",
    "crop_resize": "a box is of an image",
    "einsum": "drawn from fixed equations",
    "fill": "its shape is a value",
    "range_1d": "coremltools refuses ranges without an element",
    "reshape_like": "drawn in one form",
    "space_to_batch": "drawn with whole blocks",
}


class Empty(Chosen):
    """Draws with one axis of every shape empty."""

    def shape(self, lowest: int = 0, highest: int = 5, longest: int = 5) -> tuple[int, ...]:
        shape = super().shape(lowest, highest, longest)
        empty = self._random.randint(max(1, len(shape)))
        return tuple(0 if axis == empty else n for axis, n in enumerate(shape))

    def batch(self, most: int = 2) -> int:
        return 0


def empty_case(generator: Generator, seed: int) -> Case | None:
    """A case with an empty input, or None: where the generator needs an element to choose."""
    with contextlib.suppress(ValueError, IndexError):
        case = generator(Empty(seed))
        if any(value.size == 0 for value in case.inputs.values()):
            return case
    return None


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("op", sorted(GENERATORS))
def test_empty(op):
    compared, refused = 0, []
    for seed in range(8):
        case = empty_case(GENERATORS[op], seed)
        if case is None:
            continue
        try:
            check_case(case, set())
            compared += 1
        except ctypes_api.EngineError as error:
            refused.append(str(error))
        except (ValueError, IndexError):  # numpy or coremltools: no such result
            continue
        if compared:
            break
    assert compared or op in NEVER, f"no case of {op} was compared; refused: {refused}"
    assert not any("MLX refused" in text for text in refused), refused


def test_no_place_of_the_largest_in_nothing():
    case = Case("argmax", lambda x: mb.reduce_argmax(x=x, axis=1), {"x": np.zeros((2, 0), np.float32)})
    with pytest.raises(ctypes_api.EngineError, match=r"the axis is empty, got \[2, 0\], expected 1 or more"):
        run(case)
