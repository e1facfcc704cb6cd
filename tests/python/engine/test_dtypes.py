"""Every op takes every dtype that coremltools' registry allows for its parameters."""

from __future__ import annotations

import unittest.mock
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

from .drawn import Chosen, with_constants
from .programs import Case, ct, mb, run, types
from .test_drawn import GENERATORS

#: Ops whose cases hold their dtypes themselves, and the tests that do.
ELSEWHERE = {
    "list_scatter": "test_lists.py: every element of a list has the list's dtype",
    "list_write": "test_lists.py: as above",
}

#: Ops that only move values: in any dtype they give what they give in float32.
MOVES = {
    "band_part", "cast", "concat", "crop", "depth_to_space", "expand_dims", "flatten2d", "gather", "gather_along_axis",
    "gather_nd", "identity", "pad", "reshape", "reshape_like", "reverse", "reverse_sequence", "select", "shape",
    "slice_by_index", "slice_by_size", "slice_update", "sliding_windows", "split", "squeeze", "stack", "tile", "topk",
    "transpose",
}  # fmt: skip


CAST = mb.cast


def groups(op: str) -> Iterator[tuple[set[str], str]]:
    """Parameters of the newest version of an op that share a dtype, with each dtype they take."""
    versions = SSAOpRegistry.core_ops[op]
    newest = versions[max(versions)]
    kinds = newest.input_spec.input_types
    for group, domain in newest.type_domains.items():
        members = {name for name, kind in kinds.items() if getattr(kind, "_type_domain_id", None) == group}
        if op == "matmul":  # which takes both only in one dtype unless one is constant
            members = {"x", "y"}
        for dtype in domain:
            yield members, types.builtin_to_string(dtype)


class Retyped:
    """mb.OP with the parameters of one group in another dtype."""

    def __init__(self, op: str, members: set[str], dtype: str):
        self._build, self._members, self._dtype = getattr(mb, op), members, dtype
        self.met = False

    def __call__(self, **given: Any) -> Any:
        return self._build(**{n: self._typed(v) if n in self._members else v for n, v in given.items()})

    def _typed(self, value: Any) -> Any:
        if value is None:
            return None
        self.met = True
        if (
            isinstance(value, list | tuple)
            and value
            and hasattr(value[0], "dtype")
            and hasattr(value[0], "op")
        ):
            return type(value)(self._typed(each) for each in value)
        if not hasattr(value, "op"):
            return np.asarray(value).astype(types.nptype_from_builtin(types.string_to_builtin(self._dtype)))[
                ()
            ]
        return (
            value if types.builtin_to_string(value.dtype) == self._dtype else CAST(x=value, dtype=self._dtype)
        )


def whole(case: Case) -> Case:
    """The case with small whole numbers, which every dtype holds."""
    return replace(case, inputs={
        name: (np.rint(np.abs(value)) % 4).astype(value.dtype) if value.dtype != np.int32 else value
        for name, value in case.inputs.items()})  # fmt: skip


def outcome(op: str, members: set[str], dtype: str, seed: int) -> list[np.ndarray] | None:
    """The outputs of the op with these parameters in that dtype; None if this seed's case has none of them."""
    retyped = Retyped(op, members, dtype)
    with unittest.mock.patch.object(mb, op, retyped):
        case = GENERATORS[op](Chosen(seed))
        opset = max(case.opset, ct.target.iOS17, key=lambda target: target.value)
        case = replace(case if dtype.startswith("fp") else whole(case), opset=opset)
        outputs = run(with_constants(case, set()))
    return outputs if retyped.met else None


@pytest.mark.parametrize("op", sorted(set(GENERATORS) & set(SSAOpRegistry.core_ops) - set(ELSEWHERE)))
def test_every_dtype(op):
    """In any dtype of whole numbers, what an op moves comes out as it does in int32."""
    for members, dtype in groups(op):
        for seed in range(12):
            try:
                outputs = outcome(op, members, dtype, seed)
            except (
                ValueError,
                KeyError,
            ):  # coremltools' own: this seed's case is none of this version or dtype
                continue
            if outputs is not None:
                break
        else:
            pytest.fail(f"no case of {op} has {sorted(members)} as {dtype}")
        if op not in MOVES or dtype not in ("int8", "uint8", "int16", "uint16"):
            continue
        for got, want in zip(outputs, outcome(op, members, "int32", seed), strict=True):
            np.testing.assert_array_equal(got, want.astype(dtype).astype(got.dtype))
