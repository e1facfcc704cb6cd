"""Random programs of the ops on lists, against a Python list of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .drawn import Draw, Generator
from .programs import Case, mb

__all__ = ["GENERATORS"]


def any_list_op(draw: Draw) -> Case:
    """A list with a few elements written one by one or several at once, read back in every way there is."""
    shape, length = draw.shape(1, 3, 4), draw.integer(1, 5)  # coremltools writes no 0-d element
    dtype = draw.choice([np.float32, np.float16, np.int32])
    name = {np.float32: "fp32", np.float16: "fp16", np.int32: "int32"}[dtype]
    known = draw.flag()
    elem_shape: Any = shape if known else tuple("n" if draw.flag() else n for n in shape)
    written = np.zeros((8, *shape), dtype)
    steps: list[tuple[Any, Any]] = []
    values = {
        f"x{i}": draw.integers((draw.integer(1, 3), *shape)).astype(dtype) for i in range(draw.integer(1, 3))
    }
    longest = length
    for value in values.values():
        if draw.flag():
            index: Any = draw.integer(0, length + 2)
            written[index] = value[0]
        else:
            index = [int(i) for i in draw.permutation(length + 1)[: len(value)]]
            value = value[: len(index)]
            written[index] = value
        longest = max(longest, np.max(index) + 1)
        steps.append((index, len(value)))
    wanted = [draw.integer(0, longest - 1) for _ in range(draw.integer(1, 4))]

    def op(**given):
        ls = mb.make_list(init_length=length, elem_shape=elem_shape, dtype=name)
        for (index, count), value in zip(steps, given.values(), strict=True):
            value = mb.slice_by_size(x=value, begin=[0] * (len(shape) + 1), size=[count, *shape])
            if isinstance(index, list):
                ls = mb.list_scatter(ls=ls, indices=index, value=value)
            else:
                first = mb.slice_by_size(x=value, begin=[0] * (len(shape) + 1), size=[1, *shape])
                ls = mb.list_write(ls=ls, index=index, value=mb.squeeze(x=first, axes=[0]))
        read = mb.list_read(ls=ls, index=wanted[0])
        return [mb.list_gather(ls=ls, indices=wanted), read, mb.list_length(ls=ls)]

    return Case("list", op, values, lambda *_: [written[wanted], written[wanted[0]], np.array(longest)])


GENERATORS: dict[str, Generator] = dict.fromkeys(
    ("list_gather", "list_length", "list_read", "list_scatter", "list_write", "make_list"), any_list_op
)
