"""The building blocks of the models, and the only package that calls coremltools' builder.

Models compose these functions and never see coremltools, so that another emitter can stand beside this one
without a second set of models. Importing this package imports coremltools (about a second).

Every function takes the `Graph` first. A layer with weights takes its `name`, which is both the checkpoint
key below the current scope and the name of its op in the package.
"""

from ..weight import Array, ComputedWeight, FileSpan, Weight, WeightProvider
from .activation import ACTIVATIONS, activation
from .attention import attention, merge_heads, split_heads
from .basic import (
    add,
    argmax,
    cast,
    concat,
    equal,
    expand_dims,
    mul,
    pad,
    reshape,
    slice_axis,
    split,
    transpose,
    upsample_nearest,
)
from .graph import Graph, IOSpec, MILProgram, Precision, Var, build_program
from .linear import conv2d, embedding, gather, linear
from .norm import group_norm, layer_norm, rms_norm
from .timestep import timestep_embedding

__all__ = [
    "ACTIVATIONS",
    "Array",
    "ComputedWeight",
    "FileSpan",
    "Graph",
    "IOSpec",
    "MILProgram",
    "Precision",
    "Var",
    "Weight",
    "WeightProvider",
    "activation",
    "add",
    "argmax",
    "attention",
    "build_program",
    "cast",
    "concat",
    "conv2d",
    "embedding",
    "equal",
    "expand_dims",
    "gather",
    "group_norm",
    "layer_norm",
    "linear",
    "merge_heads",
    "mul",
    "pad",
    "reshape",
    "rms_norm",
    "slice_axis",
    "split",
    "split_heads",
    "timestep_embedding",
    "transpose",
    "upsample_nearest",
]
