"""Each layer twice: the ops that it emits, and its numbers on the engine against NumPy."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from tintype import layers as nn
from tintype.layers import Graph, MILProgram, Var

Array = np.ndarray[Any, Any]
Build = Callable[..., MILProgram]
Run = Callable[..., dict[str, Array]]
Ops = Callable[[MILProgram], list[str]]

RNG = np.random.default_rng(1)


def normal(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def test_linear(build: Build, run: Run, ops: Ops) -> None:
    x, w, b = normal(2, 3, 5), normal(4, 5), normal(4)
    program = build(
        lambda g, x: {"y": nn.linear(g, x, "l", 4, output="y")}, {"x": x.shape}, {"l.weight": w, "l.bias": b}
    )
    assert ops(program) == ["linear"]
    np.testing.assert_allclose(run(program, x=x)["y"], x @ w.T + b, atol=1e-5)


def test_linear_without_bias_shares_one_vector_of_zeros(build: Build, run: Run) -> None:
    x, w = normal(1, 12), normal(12, 12)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {"y": nn.linear(g, nn.linear(g, x, "a", 12, bias=False), "b", 12, bias=False, output="y")}

    program = build(body, {"x": x.shape}, {"a.weight": w, "b.weight": w})
    assert [n for n in program.weights if "zeros" in n] == ["zeros_12"]
    np.testing.assert_allclose(run(program, x=x)["y"], x @ w.T @ w.T, atol=1e-4)


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0)])
def test_conv2d(build: Build, run: Run, stride: int, padding: int) -> None:
    x, w, b = normal(1, 3, 6, 8), normal(5, 3, 3, 3), normal(5)
    program = build(
        lambda g, x: {"y": nn.conv2d(g, x, "c", 5, 3, stride=stride, padding=padding, output="y")},
        {"x": x.shape},
        {"c.weight": w, "c.bias": b},
    )
    padded = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    expected = np.einsum("bcyxij,ocij->boyx", windows, w) + b[:, None, None]
    np.testing.assert_allclose(run(program, x=x)["y"], expected, atol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(build: Build, run: Run, ops: Ops, affine: bool) -> None:
    x, w, b = 3 * normal(2, 4, 16) + 1, normal(16), normal(16)
    weights = {"n.weight": w, "n.bias": b} if affine else {}
    program = build(
        lambda g, x: {"y": nn.layer_norm(g, x, "n", 1e-5, affine=affine, output="y")}, {"x": x.shape}, weights
    )
    assert ops(program) == ["layer_norm"]
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    expected = expected * w + b if affine else expected
    np.testing.assert_allclose(run(program, x=x)["y"], expected, atol=1e-4)


def test_rms_norm_survives_values_whose_squares_overflow_float16(build: Build, run: Run) -> None:
    x, w = 3000 * normal(1, 4, 16), normal(16)
    program = build(
        lambda g, x: {"y": nn.rms_norm(g, x, "n", 1e-6, output="y")},
        {"x": x.shape},
        {"n.weight": w},
        "float16",
    )
    half = x.astype(np.float16).astype(np.float32)
    expected = half / np.sqrt((half**2).mean(-1, keepdims=True)) * w
    np.testing.assert_allclose(run(program, x=x)["y"], expected, rtol=3e-3, atol=1e-3)


def test_group_norm(build: Build, run: Run, ops: Ops) -> None:
    x, w, b = 2 * normal(2, 6, 4, 5) - 1, normal(6), normal(6)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.group_norm(g, x, "n", 3, 1e-6), 1.0, output="y")}

    program = build(body, {"x": x.shape}, {"n.weight": w, "n.bias": b})
    assert ops(program) == ["reshape", "instance_norm", "reshape", "mul", "add", "mul"]
    groups = x.reshape(2, 3, -1)
    unit = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-6)
    expected = unit.reshape(x.shape) * w[:, None, None] + b[:, None, None]
    np.testing.assert_allclose(run(program, x=x)["y"], expected, atol=1e-4)


def test_attention_with_a_mask(build: Build, run: Run, ops: Ops) -> None:
    q, k, v, mask = normal(1, 5, 2, 4), normal(1, 7, 2, 4), normal(1, 7, 2, 4), normal(1, 1, 5, 7)

    def body(g: Graph, q: Var, k: Var, v: Var, mask: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.attention(g, q, k, v, name="a", mask=mask), 1.0, output="y")}

    program = build(body, {"q": q.shape, "k": k.shape, "v": v.shape, "mask": mask.shape})
    assert ops(program).count("scaled_dot_product_attention") == 1
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / 2 + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhd->bqhd", weights, v).reshape(1, 5, 8)
    np.testing.assert_allclose(run(program, q=q, k=k, v=v, mask=mask)["y"], expected, atol=1e-5)


ACTIVATIONS: Mapping[str, Callable[[float], float]] = {
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_pytorch_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("kind", nn.ACTIVATIONS)
def test_activations(build: Build, run: Run, kind: str) -> None:
    x = np.linspace(-8, 8, 101, dtype=np.float32)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.activation(g, x, kind), 1.0, output="y")}

    expected = [ACTIVATIONS[kind](float(v)) for v in x]
    np.testing.assert_allclose(run(build(body, {"x": x.shape}), x=x)["y"], expected, atol=2e-6)


def test_upsample_pad_and_slice(build: Build, run: Run) -> None:
    x = normal(1, 2, 2, 3)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        y = nn.pad(g, nn.upsample_nearest(g, x, 2), (0, 0, 0, 0, 0, 1, 0, 1))
        return {"y": nn.mul(g, nn.slice_axis(g, y, 2, 1, 5), 1.0, output="y")}

    expected = np.pad(x.repeat(2, 2).repeat(2, 3), ((0, 0), (0, 0), (0, 1), (0, 1)))[:, :, 1:5]
    np.testing.assert_array_equal(run(build(body, {"x": x.shape}), x=x)["y"], expected)


def test_whole_slices_and_single_parts_emit_nothing(build: Build, ops: Ops) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        (x,) = nn.split(g, nn.slice_axis(g, x, 1, 0, 3), 1, 1)
        return {"y": nn.mul(g, nn.cast(g, x, np.float32), 1.0, output="y")}

    assert ops(build(body, {"x": (2, 3)})) == ["mul"]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_timestep_embedding_stays_in_float32(build: Build, run: Run, precision: str) -> None:
    # Expected: diffusers 0.42 get_timestep_embedding(t, 256, flip_sin_to_cos=True, downscale_freq_shift=0).
    def body(g: Graph, t: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.timestep_embedding(g, t), 1.0, output="y")}

    program = build(body, {"t": (2,)}, precision=precision, dtypes={"t": "float32"})
    t = np.array([937.5, 0.125])
    angle = t[:, None] * np.exp(-math.log(10000) * np.arange(128) / 128)
    expected = np.concatenate([np.cos(angle), np.sin(angle)], 1)
    out = run(program, t=t)["y"]
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=1e-4)
