"""Element-wise ops that become one pass over memory give, to the bit, what they give one by one."""

import numpy as np
import pytest

from . import ctypes_api
from .programs import ct, mb, save, types

RNG = np.random.RandomState(3)
SHAPE = (2, 64, 9, 65)


def modulated(x):
    scale, shift = (RNG.randn(1, 64, 1, 1).astype(x.dtype_of) for _ in "ab")
    yield (y := mb.mul(x=x.var, y=scale))
    yield (y := mb.add(x=shift, y=y))
    yield (y := mb.silu(x=y))
    yield mb.mul(x=y, y=x.dtype_of(0.125))


def gated(x):
    yield (y := mb.tanh(x=x.var))  # coremltools itself makes SiLU of x · sigmoid(x)
    yield (y := mb.mul(x=x.var, y=y))
    yield (y := mb.sub(x=RNG.randn(9, 1).astype(x.dtype_of), y=y))
    yield mb.add(x=x.var, y=y)


def gelu_written_out(x):
    yield (y := mb.mul(x=x.var, y=x.dtype_of(0.70710678)))
    yield (y := mb.erf(x=y))
    yield (y := mb.add(x=y, y=x.dtype_of(1)))
    yield (y := mb.mul(x=y, y=x.var))
    yield mb.mul(x=y, y=x.dtype_of(0.5))


def long(x):
    y = x.var
    for i in range(20):
        yield (y := mb.real_div(x=x.var, y=mb.add(x=y, y=x.dtype_of(2 + i))))


class Input:
    def __init__(self, var, dtype):
        self.var, self.dtype_of = var, dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("body", [modulated, gated, gelu_written_out, long])
def test_one_pass_or_many(body, dtype, tmp_path):
    """Returning every intermediate value gives it a second reader, which keeps its op apart."""
    x = RNG.randn(*SHAPE).astype(dtype)
    x.flat[:3] = 0, 60000, -60000
    results = []
    for name, apart in (("one", False), ("many", True)):
        RNG.seed(7)

        @mb.program(
            input_specs=[mb.TensorSpec(shape=SHAPE, dtype=types.fp16 if dtype == np.float16 else types.fp32)],
            opset_version=ct.target.iOS18,
        )
        def program(x):
            values = list(body(Input(x, dtype)))
            last = mb.identity(x=values[-1], name="y")
            return (last, *values[:-1]) if apart else last  # noqa: B023

        model = ctypes_api.Model(save(program, tmp_path / f"{name}.mlpackage", ct.target.iOS18))
        results.append(model.predict({"x": x})["y"])
    np.testing.assert_array_equal(*results)
