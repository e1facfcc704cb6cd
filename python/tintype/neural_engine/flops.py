"""Floating-point operations of one op, by its types: a multiply-add is 2, moving data is 0.

Norms, softmax and activations are counted with a fixed number an element; they are small beside products. Ops
on integers and booleans count 0: they are not floating-point.
"""

import math
from collections.abc import Callable, Iterable, Mapping

from ..run.program import FunctionOps, Op, Tensor

__all__ = ["MOVES", "flops"]

#: Ops that move, make or choose data.
MOVES = frozenset(
    (
        "band_part",
        "cast",
        "concat",
        "const",
        "crop",
        "depth_to_space",
        "expand_dims",
        "fill",
        "gather",
        "gather_along_axis",
        "gather_nd",
        "identity",
        "one_hot",
        "pad",
        "pixel_shuffle",
        "pixel_unshuffle",
        "range_1d",
        "reshape",
        "reshape_like",
        "reverse",
        "scatter",
        "scatter_along_axis",
        "scatter_nd",
        "select",
        "shape",
        "slice_by_index",
        "slice_by_size",
        "sliding_windows",
        "space_to_depth",
        "split",
        "squeeze",
        "stack",
        "tile",
        "transpose",
        "upsample_nearest_neighbor",
    )
)

#: Operations an element of the output, where it is not 1.
PER_ELEMENT: Mapping[str, int] = {
    "batch_norm": 2, "instance_norm": 8, "layer_norm": 8, "l2_norm": 4, "local_response_norm": 8,
    "softmax": 5, "gelu": 8, "sigmoid": 4, "silu": 5, "tanh": 4, "erf": 4, "exp": 2, "softplus": 4,
    "upsample_bilinear": 8, "resize_bilinear": 8,
}  # fmt: skip


def flops(function: FunctionOps, op: Op) -> int:
    """Floating-point operations of one execution of `op`."""
    if op.kind in MOVES or op.kind.startswith("constexpr_"):
        return 0
    outputs = [tensor for _, tensor in op.outputs if tensor is not None]
    if not any(tensor.floating for tensor in outputs):
        return 0
    count = PRODUCTS.get(op.kind)
    if count is not None:
        return count(function, op, outputs[0])
    if op.kind.startswith("reduce_"):
        return sum(t.elements for t in function.arguments(op, "x"))
    return PER_ELEMENT.get(op.kind, 1) * sum(tensor.elements for tensor in outputs)


def _product(extents: Iterable[int]) -> int:
    """Those that are not fixed count as one, as in `Tensor.elements`."""
    return math.prod(max(n, 1) for n in extents)


def _bias(function: FunctionOps, op: Op, out: Tensor) -> int:
    return out.elements if function.arguments(op, "bias") else 0


def _convolution(function: FunctionOps, op: Op, out: Tensor) -> int:
    """An output is a sum over (in / groups)·kernel: all of the weight's axes but the first."""
    weight = function.arguments(op, "weight")
    taps = math.prod(weight[0].shape[1:]) if weight else 1
    return 2 * out.elements * taps + _bias(function, op, out)


def _transposed_convolution(function: FunctionOps, op: Op, out: Tensor) -> int:
    weight, x = function.arguments(op, "weight"), function.arguments(op, "x")
    taps = math.prod(weight[0].shape[1:]) if weight else 1
    return 2 * (x[0].elements if x else 0) * taps + _bias(function, op, out)


def _linear(function: FunctionOps, op: Op, out: Tensor) -> int:
    x = function.arguments(op, "x")
    return 2 * out.elements * _product(x[0].shape[-1:] if x else ()) + _bias(function, op, out)


def _matmul(function: FunctionOps, op: Op, out: Tensor) -> int:
    x = function.arguments(op, "x")
    # Multiply-adds an output: the axis of x that is summed, found by what remains of it.
    rows = out.shape[-2:-1]
    inner = x[0].elements // _product((*x[0].shape[:-2], *rows)) if x else 1
    return 2 * out.elements * max(inner, 1)


def _einsum(function: FunctionOps, op: Op, out: Tensor) -> int:
    equation = function.text(op, "equation") or ""
    letters: dict[str, int] = {}
    for term, tensor in zip(
        equation.split("->")[0].split(","), function.arguments(op, "values"), strict=False
    ):
        letters.update(zip(term.strip(), tensor.shape, strict=False))
    return 2 * _product(letters.values()) if letters else 2 * out.elements


def _attention(function: FunctionOps, op: Op, out: Tensor) -> int:
    query, key = function.arguments(op, "query"), function.arguments(op, "key")
    if not query or not key:
        return 2 * out.elements
    scores = _product((*query[0].shape[:-1], key[0].shape[-2]))
    width = _product(query[0].shape[-1:]) + _product(out.shape[-1:])
    return scores * (2 * width + PER_ELEMENT["softmax"])


PRODUCTS: Mapping[str, Callable[[FunctionOps, Op, Tensor], int]] = {
    "conv": _convolution,
    "conv_transpose": _transposed_convolution,
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
}
