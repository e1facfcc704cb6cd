"""The building blocks of the models, and the only package that calls coremltools' builder.

Models compose these functions and never see coremltools, so that another emitter can stand beside this one
without a second set of models. Importing this package imports coremltools (about a second).

Every function takes the `Graph` first. A layer with weights takes its `name`, which is both the checkpoint
key below the current scope and the name of its op in the package.
"""

from ..weight import Array, ComputedWeight, Weight, WeightProvider
from .activation import ACTIVATIONS, activation
from .attention import AttentionBias, attention, attention_bias, merge_heads, split_heads
from .basic import (
    add,
    argmax,
    cast,
    concat,
    equal,
    expand_dims,
    identity,
    mul,
    pad,
    pixel_shuffle,
    reshape,
    scaled,
    slice_axis,
    split,
    transpose,
    upsample_nearest,
)
from .compressed import Compression, compress_program
from .graph import (
    MAIN,
    FunctionIO,
    Graph,
    IOSpec,
    MILProgram,
    Network,
    Precision,
    Target,
    Var,
    build_functions,
    build_program,
    uncollected,
)
from .linear import affine, conv2d, embedding, gather, linear, scaled_bias
from .norm import group_norm, head_rms_norm, layer_norm, rms_norm
from .patches import project_patches
from .ranges import RANGES, RangedProgram, add_ranges
from .rotary import rotary, rotary_table
from .selection import first_match
from .timestep import timestep_features
from .tokens import (
    concat_channels,
    concat_tokens,
    direct_output,
    image_from_tokens,
    rows_from_tokens,
    rows_from_vector,
    slice_tokens,
    split_tokens,
    token_count,
    token_table,
    tokens_from_image,
    tokens_from_rows,
    vector_from_rows,
)

__all__ = [
    "ACTIVATIONS",
    "MAIN",
    "RANGES",
    "Array",
    "AttentionBias",
    "Compression",
    "ComputedWeight",
    "FunctionIO",
    "Graph",
    "IOSpec",
    "MILProgram",
    "Network",
    "Precision",
    "RangedProgram",
    "Target",
    "Var",
    "Weight",
    "WeightProvider",
    "activation",
    "add",
    "add_ranges",
    "affine",
    "argmax",
    "attention",
    "attention_bias",
    "build_functions",
    "build_program",
    "cast",
    "compress_program",
    "concat",
    "concat_channels",
    "concat_tokens",
    "conv2d",
    "direct_output",
    "embedding",
    "equal",
    "expand_dims",
    "first_match",
    "gather",
    "group_norm",
    "head_rms_norm",
    "identity",
    "image_from_tokens",
    "layer_norm",
    "linear",
    "merge_heads",
    "mul",
    "pad",
    "pixel_shuffle",
    "project_patches",
    "reshape",
    "rms_norm",
    "rotary",
    "rotary_table",
    "rows_from_tokens",
    "rows_from_vector",
    "scaled",
    "scaled_bias",
    "slice_axis",
    "slice_tokens",
    "split",
    "split_heads",
    "split_tokens",
    "timestep_features",
    "token_count",
    "token_table",
    "tokens_from_image",
    "tokens_from_rows",
    "transpose",
    "uncollected",
    "upsample_nearest",
    "vector_from_rows",
]
