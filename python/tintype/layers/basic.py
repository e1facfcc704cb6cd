"""Arithmetic, casts, slices and changes of shape.

Values keep their dtype: a Python number meets a tensor as a constant of the tensor's dtype.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .graph import Graph, Var

__all__ = [
    "add",
    "argmax",
    "cast",
    "concat",
    "equal",
    "expand_dims",
    "identity",
    "mul",
    "pad",
    "pixel_shuffle",
    "reshape",
    "scaled",
    "slice_axis",
    "split",
    "transpose",
    "upsample_nearest",
]


def add(g: Graph, x: Var, y: Var | float, *, name: str | None = None, output: str | None = None) -> Var:
    """x + y, broadcast."""
    return g.op("add", x=x, y=_operand(g, y, x), name=name, output=output)


def mul(g: Graph, x: Var, y: Var | float, *, name: str | None = None, output: str | None = None) -> Var:
    """x * y, broadcast."""
    return g.op("mul", x=x, y=_operand(g, y, x), name=name, output=output)


def scaled(g: Graph, x: Var, factor: float, *, name: str) -> Var:
    """x * factor; x itself where the factor is 1."""
    return x if factor == 1 else mul(g, x, factor, name=name)


def cast(g: Graph, x: Var, dtype: npt.DTypeLike, *, name: str | None = None) -> Var:
    """x as float16, float32 or int32; x itself where it has that dtype."""
    target = np.dtype(dtype)
    if g.dtype(x) == target:
        return x
    short = {"float16": "fp16", "float32": "fp32", "int32": "int32"}[target.name]
    return g.op("cast", x=x, dtype=g.text(short, "cast_dtype"), name=name)


def identity(g: Graph, x: Var, *, output: str) -> Var:
    """x by the name of an output."""
    return g.op("identity", x=x, output=output)


def reshape(
    g: Graph, x: Var, shape: Sequence[int], *, name: str | None = None, output: str | None = None
) -> Var:
    """x with another shape, elements in the same order."""
    return g.op("reshape", x=x, shape=g.const(list(shape), "shape", np.int32), name=name, output=output)


def transpose(
    g: Graph, x: Var, perm: Sequence[int], *, name: str | None = None, output: str | None = None
) -> Var:
    """x with its axes in the order `perm`."""
    return g.op("transpose", x=x, perm=g.const(list(perm), "perm", np.int32), name=name, output=output)


def expand_dims(g: Graph, x: Var, axes: Sequence[int], *, name: str | None = None) -> Var:
    """x with axes of length 1 at `axes`."""
    return g.op("expand_dims", x=x, axes=g.const(list(axes), "axes", np.int32), name=name)


def concat(
    g: Graph, values: Sequence[Var], axis: int, *, name: str | None = None, output: str | None = None
) -> Var:
    """The values one after another along `axis`."""
    return g.op(
        "concat",
        values=list(values),
        axis=g.const(axis, "axis", np.int32),
        interleave=g.flag(False, "interleave"),
        name=name,
        output=output,
    )


def split(g: Graph, x: Var, parts: int, axis: int, *, name: str | None = None) -> tuple[Var, ...]:
    """x cut into `parts` equal parts along `axis`; one part is x itself."""
    if parts == 1:
        return (x,)
    return tuple(
        g.op(
            "split",
            x=x,
            num_splits=g.const(parts, "num_splits", np.int32),
            axis=g.const(axis, "axis", np.int32),
            name=name,
        )
    )


def slice_axis(g: Graph, x: Var, axis: int, begin: int, end: int, *, name: str | None = None) -> Var:
    """x[…, begin:end, …] along `axis`; x itself where that is all of it."""
    shape = x.shape
    if begin == 0 and end == shape[axis]:
        return x
    begins = [begin if i == axis else 0 for i in range(len(shape))]
    ends = [end if i == axis else int(n) for i, n in enumerate(shape)]
    return g.op(
        "slice_by_index",
        x=x,
        begin=g.const(begins, "begin", np.int32),
        end=g.const(ends, "end", np.int32),
        name=name,
    )


def pad(g: Graph, x: Var, amounts: Sequence[int], *, name: str | None = None) -> Var:
    """x with zeros around its last len(amounts) / 2 axes: [before, after] an axis."""
    return g.op(
        "pad",
        x=x,
        pad=g.const(list(amounts), "pad", np.int32),
        mode=g.text("constant", "pad_mode"),
        constant_val=_operand(g, 0.0, x),
        name=name,
    )


def upsample_nearest(g: Graph, x: Var, factor: int, *, name: str | None = None) -> Var:
    """(B, C, H, W) → (B, C, factor·H, factor·W), each pixel repeated."""
    scale = g.const(factor, "scale_factor", np.int32)
    return g.op(
        "upsample_nearest_neighbor", x=x, scale_factor_height=scale, scale_factor_width=scale, name=name
    )


def pixel_shuffle(g: Graph, x: Var, factor: int, *, output: str | None = None) -> Var:
    """(B, C·f·f, H, W) → (B, C, f·H, f·W), channels in the order (C, row, column)."""
    return g.op(
        "pixel_shuffle", x=x, upscale_factor=g.const(factor, "upscale_factor", np.int32), output=output
    )


def _operand(g: Graph, y: Var | float, like: Var) -> Var:
    if isinstance(y, (int, float)):
        return g.const(g.dtype(like).type(y), "scalar", g.dtype(like))
    return y


def equal(g: Graph, x: Var, value: int, *, name: str | None = None) -> Var:
    """x == value, element by element: int32 → bool."""
    return g.op("equal", x=x, y=g.const(value, "id", np.int32), name=name)


def argmax(g: Graph, x: Var, axis: int, *, name: str | None = None) -> Var:
    """The index of the largest element along `axis`, which goes away: int32."""
    return g.op(
        "reduce_argmax",
        x=x,
        axis=g.const(axis, "axis", np.int32),
        keep_dims=g.flag(False, "keep_dims"),
        output_dtype=g.text("int32", "output_dtype"),
        name=name,
    )
