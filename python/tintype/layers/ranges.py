"""A finished program that also tells the largest magnitude that each of its ops makes."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types

from .graph import IOSpec, MILProgram

__all__ = ["RANGES", "RangedProgram", "add_ranges"]

#: The extra output: float32 (n,), the largest magnitude of n values.
RANGES: Final = "ranges"

#: Values that one concat joins.
JOINED: Final = 256


class RangedProgram:
    """`program` with the output `ranges`; `labels` are (op name, dtype) of its elements."""

    def __init__(self, program: MILProgram, labels: tuple[tuple[str, str], ...]) -> None:
        self.program, self.labels = program, labels


def add_ranges(program: MILProgram) -> RangedProgram:
    """Add max|x| of every float value of the default function; the pymil program is changed in place."""
    function = program.default_function
    values = [
        var
        for op in function.operations
        if op.op_type != "const" and not op.op_type.startswith("constexpr_")
        for var in op.outputs
        if types.is_float(var.dtype)
    ]
    labels = tuple((var.name, np.dtype(types.nptype_from_builtin(var.dtype)).name) for var in values)
    with function:
        peaks = [_peak(var, index) for index, var in enumerate(values)]
        level = 0
        while len(peaks) > 1 or level == 0:
            groups = [peaks[i : i + JOINED] for i in range(0, len(peaks), JOINED)]
            last = len(groups) == 1
            peaks = [
                mb.concat(
                    values=group, axis=0, interleave=False, name=RANGES if last else f"range_{level}_{i}"
                )
                for i, group in enumerate(groups)
            ]
            level += 1
    function.set_outputs([*function.outputs, peaks[0]])
    output = IOSpec(RANGES, "float32", (len(values),))
    return RangedProgram(replace(program, outputs=(*program.outputs, output)), labels)


def _peak(var: Any, index: int) -> Any:
    """max|x| as float32 (1,)."""
    rank = len(var.shape)
    size = mb.abs(x=var, name=f"range_abs_{index}")
    if rank > 0:
        axes = np.arange(rank, dtype=np.int32)
        size = mb.reduce_max(x=size, axes=axes, keep_dims=False, name=f"range_max_{index}")
    wide = mb.cast(x=size, dtype="fp32", name=f"range_cast_{index}")
    return mb.expand_dims(x=wide, axes=np.array([0], np.int32), name=f"range_row_{index}")
