"""Storing a finished program's weights in fewer bits.

The weights of linear layers and convolutions become `constexpr_blockwise_shift_scale` or
`constexpr_lut_to_dense`, which Core ML and the engine undo when they load. Everything else keeps its dtype:
biases, norms, tables of embeddings and positions, small weights, and weights that the recipe does not divide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types

from ..compress import CompressedWeight, Recipe
from ..weight import ComputedWeight, Weight
from .graph import MILProgram

__all__ = ["Compression", "compress_program"]

#: Weights below this many elements are left alone: nothing is won.
MIN_ELEMENTS = 2048
#: Input channels that a weight must have: the few of a first layer carry too much.
MIN_INPUTS = 32
#: Output channels that a weight must have; a scale a channel then lies in the weight file.
MIN_CHANNELS = 16

CODE_DTYPES: Mapping[tuple[str, int], Any] = {
    ("integers", 8): np.dtype(np.int8),
    ("integers", 4): types.np_int4_dtype,
    ("palette", 4): types.np_uint4_dtype,
    ("palette", 6): types.np_uint6_dtype,
    ("palette", 8): np.dtype(np.uint8),
}


@dataclass(frozen=True)
class Compression:
    """What was compressed, and the names of the weights that the recipe could not divide."""

    recipe: Recipe
    weights: tuple[CompressedWeight, ...]
    undivided: tuple[str, ...]


def compress_program(program: MILProgram, recipe: Recipe) -> tuple[MILProgram, Compression]:
    """The program with its weights stored by `recipe`; the pymil program is changed in place."""
    function = program.program.functions["main"]
    weights, done, undivided = dict(program.weights), [], []
    with function:
        for var in list(_matrices(function)):
            source = weights.get(var.name)
            # What is computed is a mask, or small and sorted for the last layer.
            if source is None or isinstance(source, ComputedWeight) or var.name in program.exact:
                continue
            if not _worthwhile(var.shape):
                continue
            if not recipe.fits(var.shape):
                undivided.append(source.name)
                continue
            compressed = CompressedWeight(source, tuple(var.shape), recipe, var.val.dtype)
            _replace(var, compressed, weights)
            done.append(compressed)
    return replace(program, weights=weights), Compression(recipe, tuple(done), tuple(undivided))


def _worthwhile(shape: tuple[int, ...]) -> bool:
    return int(np.prod(shape)) >= MIN_ELEMENTS and shape[0] >= MIN_CHANNELS and shape[1] >= MIN_INPUTS


def _matrices(function: Any) -> Iterator[Any]:
    """The constants that linear layers and convolutions multiply with, each once, in order."""
    seen = set()
    for op in function.operations:
        if op.op_type in ("linear", "conv"):
            var = op.inputs["weight"]
            if var.op is not None and var.op.op_type == "const" and var.name not in seen:
                seen.add(var.name)
                yield var


def _replace(var: Any, compressed: CompressedWeight, weights: dict[str, Weight]) -> None:
    """Put the decompressing op in the place of the constant `var`, and its tensors into `weights`."""
    recipe, users, block = compressed.recipe, list(var.child_ops), var.op.enclosing_block
    place = {"before_op": users[0]}
    parts = []
    for role, tensor, dtype in (
        ("codes", compressed.codes, CODE_DTYPES[recipe.kind, recipe.bits]),
        ("table", compressed.table, compressed.dtype),
    ):
        part = f"{var.name}_{role}"
        if part in weights:
            raise ValueError(f"the name of the constant {part!r} is taken")
        weights[part] = tensor
        parts.append(mb.const(val=np.broadcast_to(np.zeros((), dtype), tensor.shape), name=part, **place))
    codes, table = parts
    name = f"{var.name}_dense"
    if recipe.kind == "palette":
        dense = mb.constexpr_lut_to_dense(indices=codes, lut=table, name=name, **place)
    else:
        dense = mb.constexpr_blockwise_shift_scale(data=codes, scale=table, name=name, **place)
    for op in users:
        op.set_inputs(no_check_var_types=True, type_inference=False, weight=dense)
    del weights[var.name]
    block.remove_ops([var.op])
