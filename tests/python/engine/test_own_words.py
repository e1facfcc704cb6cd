"""Programs of one op whose shapes and numbers are drawn: what is refused is refused in the engine's own words."""

import pathlib
import tempfile
from typing import Any

import numpy as np
import pytest

from . import ctypes_api
from .refusals.programs import Const, Op, Program, specification, write

ARRAY, INDICES, NUMBER, NUMBERS, FLAG = "array", "indices", "number", "numbers", "flag"

#: Parameters by what is drawn for them; what stands there as it is is a text or a number.
OPS: dict[str, dict[str, Any]] = {
    "add": {"x": ARRAY, "y": ARRAY},
    "argsort": {"x": ARRAY, "axis": NUMBER},
    "band_part": {"x": ARRAY, "lower": NUMBER, "upper": NUMBER},
    "batch_norm": {"x": ARRAY, "mean": ARRAY, "variance": ARRAY},
    "batch_to_space": {"x": ARRAY, "block_shape": NUMBERS, "crops": NUMBERS},
    "concat": {"values": [ARRAY, ARRAY], "axis": NUMBER},
    "conv": {"x": ARRAY, "weight": ARRAY},
    "conv_transpose": {"x": ARRAY, "weight": ARRAY},
    "cumsum": {"x": ARRAY, "axis": NUMBER},
    "depth_to_space": {"x": ARRAY, "block_size": NUMBER},
    "einsum": {"values": [ARRAY, ARRAY], "equation": "nchw,nwhu->nchu"},
    "equal": {"x": ARRAY, "y": ARRAY},
    "expand_dims": {"x": ARRAY, "axes": NUMBERS},
    "fill": {"shape": NUMBERS, "value": ARRAY},
    "flatten2d": {"x": ARRAY, "axis": NUMBER},
    "floor_div": {"x": ARRAY, "y": ARRAY},
    "gather": {"x": ARRAY, "indices": INDICES, "axis": NUMBER, "batch_dims": NUMBER},
    "gather_along_axis": {"x": ARRAY, "indices": INDICES, "axis": NUMBER},
    "gather_nd": {"x": ARRAY, "indices": INDICES, "batch_dims": NUMBER},
    "instance_norm": {"x": ARRAY, "gamma": ARRAY, "beta": ARRAY},
    "layer_norm": {"x": ARRAY, "axes": NUMBERS, "gamma": ARRAY, "beta": ARRAY},
    "linear": {"x": ARRAY, "weight": ARRAY, "bias": ARRAY},
    "matmul": {"x": ARRAY, "y": ARRAY, "transpose_x": FLAG, "transpose_y": FLAG},
    "max_pool": {"x": ARRAY, "kernel_sizes": NUMBERS, "strides": NUMBERS, "pad_type": "valid"},
    "one_hot": {"indices": INDICES, "one_hot_vector_size": NUMBER, "axis": NUMBER},
    "pad": {"x": ARRAY, "pad": NUMBERS, "constant_val": ARRAY},
    "pixel_shuffle": {"x": ARRAY, "upscale_factor": NUMBER},
    "prelu": {"x": ARRAY, "alpha": ARRAY},
    "reduce_argmax": {"x": ARRAY, "axis": NUMBER},
    "reduce_max": {"x": ARRAY, "axes": NUMBERS},
    "reduce_sum": {"x": ARRAY, "axes": NUMBERS},
    "reshape": {"x": ARRAY, "shape": NUMBERS},
    "reverse": {"x": ARRAY, "axes": NUMBERS},
    "reverse_sequence": {"x": ARRAY, "lengths": INDICES, "seq_axis": NUMBER, "batch_axis": NUMBER},
    "scaled_dot_product_attention": {"query": ARRAY, "key": ARRAY, "value": ARRAY, "attn_mask": ARRAY},
    "scatter": {"data": ARRAY, "indices": INDICES, "updates": ARRAY, "axis": NUMBER},
    "scatter_along_axis": {"data": ARRAY, "indices": INDICES, "updates": ARRAY, "axis": NUMBER},
    "scatter_nd": {"data": ARRAY, "indices": INDICES, "updates": ARRAY},
    "select": {"cond": ARRAY, "a": ARRAY, "b": ARRAY},
    "slice_by_index": {"x": ARRAY, "begin": NUMBERS, "end": NUMBERS, "stride": NUMBERS},
    "slice_by_size": {"x": ARRAY, "begin": NUMBERS, "size": NUMBERS},
    "slice_update": {"x": ARRAY, "update": ARRAY, "begin": NUMBERS, "end": NUMBERS},
    "sliding_windows": {"x": ARRAY, "axis": NUMBER, "size": NUMBER},
    "softmax": {"x": ARRAY, "axis": NUMBER},
    "space_to_batch": {"x": ARRAY, "block_shape": NUMBERS, "paddings": NUMBERS},
    "split": {"x": ARRAY, "num_splits": NUMBER, "axis": NUMBER},
    "squeeze": {"x": ARRAY, "axes": NUMBERS},
    "stack": {"values": [ARRAY, ARRAY], "axis": NUMBER},
    "tile": {"x": ARRAY, "reps": NUMBERS},
    "topk": {"x": ARRAY, "k": NUMBER, "axis": NUMBER},
    "transpose": {"x": ARRAY, "perm": NUMBERS},
}


def drawn(rng: np.random.RandomState, kind: Any, rank: int) -> Any:
    if isinstance(kind, list):
        return [drawn(rng, each, rank) for each in kind]
    count = rank if rng.randint(3) else rng.randint(5)  # mostly alike, so that some programs get far
    shape = rng.randint(0 if rng.randint(8) == 0 else 1, 4, count)
    if kind == ARRAY:
        return Const(rng.standard_normal(shape).astype(np.float32))
    if kind == INDICES:
        return Const(rng.randint(-1, 2, shape).astype(np.int32))
    if kind == NUMBER:
        return int(rng.randint(-2, 4))
    if kind == NUMBERS:
        return Const(rng.randint(-1, 4, count).astype(np.int32))
    return bool(rng.randint(2)) if kind == FLAG else kind


@pytest.mark.parametrize("op", OPS)
def test_no_refusal_is_mlxs(op: str) -> None:
    rng = np.random.RandomState(0)
    foreign = set()
    for _ in range(40):
        rank = rng.randint(5)
        parameters = {name: drawn(rng, kind, rank) for name, kind in OPS[op].items()}
        model, inputs = specification(Program([Op(op, parameters)]))
        with tempfile.TemporaryDirectory() as folder:
            path = write(pathlib.Path(folder), model.SerializeToString())
            try:
                ctypes_api.Model(path).predict(inputs)
            except ctypes_api.EngineError as error:
                foreign |= {str(error)} if "MLX refused it" in str(error) else set()
    assert foreign == set()
