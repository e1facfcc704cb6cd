"""Lists: grown in a loop, as converted loops do, and what is refused."""

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, check, mb, run

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_loop_that_appends():
    """Element i of a list that starts empty is x * i."""

    def op(x):
        ls = mb.make_list(init_length=0, dynamic_length=True, elem_shape=("rows", 3), dtype="fp32")

        def more(i, ls):
            return mb.less(x=i, y=5)

        def step(i, ls):
            value = mb.mul(x=x, y=mb.cast(x=i, dtype="fp32"))
            return mb.add(x=i, y=1), mb.list_write(ls=ls, index=i, value=value)

        _, ls = mb.while_loop(_cond=more, _body=step, loop_vars=(0, ls))
        return mb.list_gather(ls=ls, indices=[4, 0, 3]), mb.list_length(ls=ls)

    check(Case("loop", op, {"x": X}, lambda x: [np.stack([4 * x, 0 * x, 3 * x]), np.array([5], np.int32)[0]]))


def written(index, value_of=lambda x: x, **parameters):
    def op(x):
        ls = mb.make_list(**{"init_length": 2, "elem_shape": (2, 3), "dtype": "fp32", **parameters})
        return mb.list_read(ls=mb.list_write(ls=ls, index=0, value=value_of(x)), index=index)

    return Case("list", op, {"x": X})


def test_an_element_that_nobody_wrote_is_zero():
    np.testing.assert_array_equal(run(written(1))[0], np.zeros((2, 3)))


@pytest.mark.parametrize("index", [2, -1])
def test_reading_outside_is_refused(index):
    text = rf"\[list_read .*\] an index lies outside the list, got {index}, expected 0 to 1"
    with pytest.raises(ctypes_api.EngineError, match=text):
        run(written(index))


def test_another_shape_than_the_elements_is_refused():
    def op(x):
        ls = mb.make_list(init_length=2, elem_shape=("a", "b"), dtype="fp32")
        ls = mb.list_write(ls=ls, index=0, value=x)
        return mb.list_read(ls=mb.list_write(ls=ls, index=1, value=mb.transpose(x=x, perm=[1, 0])), index=0)

    with pytest.raises(
        ctypes_api.EngineError, match=r"no element of the list, got \[3, 2\], expected \[2, 3\]"
    ):
        run(Case("list", op, {"x": X}))


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (1 << 30, 1 << 30, 1 << 30)], ids=str)
def test_a_list_beyond_memory_is_refused(shape):
    def op(x):
        return mb.list_length(ls=mb.make_list(init_length=4, elem_shape=shape, dtype="fp32")), mb.relu(x=x)

    with pytest.raises(ctypes_api.EngineError, match=r"larger than memory|has too many elements"):
        run(Case("list", op, {"x": X}))


def test_an_impossible_length_is_refused():
    def op(x):
        ls = mb.make_list(init_length=1, elem_shape=(2, 3), dtype="fp32")
        return mb.list_length(ls=mb.list_write(ls=ls, index=1 << 30, value=x))

    with pytest.raises(ctypes_api.EngineError, match="an index lies outside the list, got 1073741824"):
        run(Case("list", op, {"x": X}))
