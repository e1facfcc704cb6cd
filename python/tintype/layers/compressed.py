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

from ..compress import CompressedWeight, Selection
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
    """What was compressed, the names of the weights that their recipe could not divide, and those of all that
    could be asked for."""

    weights: tuple[CompressedWeight, ...]
    undivided: tuple[str, ...]
    candidates: tuple[str, ...]


def compress_program(program: MILProgram, selection: Selection) -> tuple[MILProgram, Compression]:
    """The program with its weights stored as `selection` says; the pymil program is changed in place."""
    weights, undivided, candidates = dict(program.weights), dict[str, None](), dict[str, None]()
    done: dict[str, CompressedWeight] = {}  # by the constant's name, which functions share
    for function in program.program.functions.values():
        with function:
            for var in list(_matrices(function)):
                source = program.weights.get(var.name)
                # What is computed is a mask, or small and sorted for the last layer.
                if source is None or isinstance(source, ComputedWeight) or var.name in program.exact:
                    continue
                if not _worthwhile(var.shape):
                    continue
                candidates[source.name] = None
                recipe = selection.recipe(source.name)
                if recipe is None:
                    continue
                if not recipe.fits(var.shape):
                    undivided[source.name] = None
                    continue
                if var.name not in done:
                    done[var.name] = CompressedWeight(source, tuple(var.shape), recipe, var.val.dtype)
                    _place(var, done[var.name], weights)
                _replace(var, done[var.name])
    for name in done:
        del weights[name]
    report = Compression(tuple(done.values()), tuple(undivided), tuple(candidates))
    return replace(program, weights=weights), report


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


def _parts(name: str, compressed: CompressedWeight) -> Iterator[tuple[str, Weight, Any]]:
    """The tensors that take the place of the constant `name`: name, weight, dtype in the program."""
    recipe = compressed.recipe
    yield f"{name}_codes", compressed.codes, CODE_DTYPES[recipe.kind, recipe.bits]
    yield f"{name}_table", compressed.table, compressed.dtype


def _place(var: Any, compressed: CompressedWeight, weights: dict[str, Weight]) -> None:
    """Put the tensors of the constant `var` into `weights`."""
    for part, tensor, _ in _parts(var.name, compressed):
        if part in weights:
            raise ValueError(f"the name of the constant {part!r} is taken")
        weights[part] = tensor


def _replace(var: Any, compressed: CompressedWeight) -> None:
    """Put the decompressing op in the place of the constant `var`."""
    users, block = list(var.child_ops), var.op.enclosing_block
    place = {"before_op": users[0]}
    codes, table = (
        mb.const(val=np.broadcast_to(np.zeros((), dtype), tensor.shape), name=part, **place)
        for part, tensor, dtype in _parts(var.name, compressed)
    )
    name = f"{var.name}_dense"
    if compressed.recipe.kind == "palette":
        dense = mb.constexpr_lut_to_dense(indices=codes, lut=table, name=name, **place)
    else:
        dense = mb.constexpr_blockwise_shift_scale(data=codes, scale=table, name=name, **place)
    for op in users:
        op.set_inputs(no_check_var_types=True, type_inference=False, weight=dense)
    block.remove_ops([var.op])
