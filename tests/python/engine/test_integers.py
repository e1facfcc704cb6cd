"""int32 is computed as integers: values that a float32 cannot hold, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from .programs import Case, check, ct, mb

LOWEST, HIGHEST = -(2**31), 2**31 - 1
ODD = 2**24 + 1  # the first integer that is no float32


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def matrix(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(LOWEST, HIGHEST, shape, dtype=np.int64).astype(np.int32)


RNG = np.random.default_rng(0)
WEIGHT, BIAS = matrix(RNG, 3, 4), matrix(RNG, 3)

#: Floats at and beyond the ends of the integers' ranges.
EDGES = np.array(
    [np.nan, np.inf, -np.inf, 1e10, -1e10, 2.0**31, -(2.0**31), 2.0**31 - 128, 65536, 65535.5, 32768, 32767.5,
     -32769, 256, 255.5, 128, 127.5, -129, -128.5, -1, -0.5, 0.5, 2.75], np.float32)  # fmt: skip


def saturated(dtype):
    """Of floats: rounded towards zero, the ends beyond them, 0 for NaN."""
    ends = np.iinfo(dtype)
    return lambda x: np.clip(np.trunc(np.nan_to_num(x.astype(np.float64), posinf=1e300, neginf=-1e300)),
                             ends.min, ends.max).astype(np.int64).astype(np.int32)  # fmt: skip


def cast_to(dtype, x):
    return Case(f"cast {x.dtype} to {dtype}", lambda x: mb.cast(x=x, dtype=dtype), {"x": x}, saturated(dtype))


CASES = [
    *(cast_to(dtype, EDGES) for dtype in ("int32", "int8", "uint8", "int16", "uint16")),
    cast_to("int32", np.array([np.nan, np.inf, -np.inf, 65504, -0.5], np.float16)),
    cast_to("int8", np.array([np.nan, np.inf, -np.inf, 65504, 127.5], np.float16)),
    Case("matmul", lambda x, y: mb.matmul(x=x, y=y), {"x": integers(5001, 7)[None], "y": integers(5003, 1)[:, None]},
         lambda x, y: x @ y),
    Case("matmul that wraps around", lambda x, y: mb.matmul(x=x, y=y, transpose_y=True),
         {"x": matrix(RNG, 2, 5, 4), "y": matrix(RNG, 3, 4)}, lambda x, y: x @ y.T),
    Case("linear", lambda x: mb.linear(x=x, weight=WEIGHT, bias=BIAS), {"x": matrix(RNG, 2, 4)},
         lambda x: x @ WEIGHT.T + BIAS),
    Case("range_1d", lambda x: mb.range_1d(start=mb.squeeze(x=x), end=ODD + 3, step=1), {"x": integers(ODD)},
         lambda x: np.arange(ODD, ODD + 3, dtype=np.int32)),
    Case("threshold", lambda x: mb.threshold(x=x, alpha=ODD), {"x": integers(0, ODD + 2)},
         lambda x: np.maximum(x, ODD)),
    Case("reduce_mean", lambda x: mb.reduce_mean(x=x, axes=[1]),
         {"x": np.array([[ODD, ODD], [HIGHEST, HIGHEST], [-3, -4]], np.int32)},
         lambda x: np.trunc(x.mean(axis=1)).astype(np.int32)),
    Case("real_div", lambda x, y: mb.real_div(x=x, y=y),
         {"x": integers(ODD, -7, 7, LOWEST), "y": integers(1, 2, -2, 7)},
         lambda x, y: np.trunc(x.astype(np.float64) / y).astype(np.int32)),
    Case("floor_div", lambda x, y: mb.floor_div(x=x, y=y),
         {"x": integers(LOWEST, LOWEST, HIGHEST, -7, 7, -8, HIGHEST), "y": integers(7, -7, -7, 2, -2, 2, 1)},
         lambda x, y: x // y),
    Case("mod", lambda x, y: mb.mod(x=x, y=y),
         {"x": integers(LOWEST, LOWEST, HIGHEST, -7, 7), "y": integers(7, -7, -7, 2, -2)}, lambda x, y: x % y),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_integers_are_exact(case):
    check(case)


@pytest.mark.parametrize(
    ("op", "extra"),
    [("scatter", {"axis": 0}), ("scatter_nd", {}), ("scatter_along_axis", {"axis": 0})],
)
def test_scatter_divides_integers(op, extra):
    indices = integers(0, 2, 2)
    indices = indices[:, None] if op == "scatter_nd" else indices

    def divided(data, updates):
        want = data.copy()
        want[0] = np.trunc(data[0] / updates[0])
        want[2] = np.trunc(data[2] / (updates[1] * updates[2]))
        return want

    check(Case(op, lambda data, updates: getattr(mb, op)(data=data, indices=indices, updates=updates, mode="div",
                                                         **extra),
               {"data": integers(8, 5, -ODD * 6), "updates": integers(2, 3, 2)}, divided))  # fmt: skip


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (1.0, 0.1), (-1.0, 0.1), (7.5, -2.0), (0.0, 3.0), (5.0, np.inf), (-5.0, np.inf), (np.inf, 2.0),
        (1.0, 0.0), (np.nan, 1.0),
    ],
)  # fmt: skip
def test_quotients_of_floats_are_floored_as_numpys(x, y):
    with np.errstate(all="ignore"):
        check(Case("floor_div", lambda x, y: mb.floor_div(x=x, y=y),
                   {"x": np.float32([x]), "y": np.float32([y])}, np.floor_divide))  # fmt: skip


def test_the_sign_of_no_number_is_none():
    check(Case("sign", lambda x: mb.sign(x=x), {"x": np.float32([np.nan, -0.0, 3, -np.inf])}, np.sign))


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4), 1), ((2, 3, 4), 2), ((0, 3), 1), ((70_000, 3), 1)])
def test_gather_by_rows_of_a_batch(shape, axis):
    x = RNG.standard_normal(shape).astype(np.float32)
    indices = RNG.integers(0, shape[axis], (shape[0], 2)).astype(np.int32)

    def gathered(x):
        rows = [np.take(row, some, axis - 1) for row, some in zip(x, indices, strict=True)]
        return np.stack(rows) if rows else np.zeros((0, 2), np.float32)

    check(Case("gather", lambda x: mb.gather(x=x, indices=indices, axis=axis, batch_dims=1), {"x": x}, gathered,
               ct.target.iOS17))  # fmt: skip
