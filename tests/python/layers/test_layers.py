"""Each layer twice: the ops that it emits, and its numbers on the engine against NumPy."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from tintype import layers as nn
from tintype.layers import Graph, MILProgram, Var
from tintype.layers.attention import QUERY_CHUNK, query_chunks
from tintype.sinusoid import timestep_features

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


def test_group_norm_of_equal_values_with_an_epsilon_below_float16(build: Build, run: Run) -> None:
    x, w, b = np.full((1, 4, 3, 3), 0.5, np.float32), normal(4), normal(4)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.group_norm(g, x, "n", 2, 1e-9), 1.0, output="y")}

    program = build(body, {"x": x.shape}, {"n.weight": w, "n.bias": b}, "float16")
    out = run(program, x=x)["y"]
    np.testing.assert_allclose(out, np.broadcast_to(b[:, None, None], x.shape), rtol=1e-3)


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
def test_timestep_features_stay_in_float32(build: Build, run: Run, precision: str) -> None:
    def body(g: Graph, t: Var) -> Mapping[str, Var]:
        return {"y": nn.mul(g, nn.timestep_features(g, t), 1.0, output="y")}

    program = build(body, {"t": (2,)}, precision=precision, dtypes={"t": "float32"})
    t = np.array([937.5, 0.125], np.float32)
    out = run(program, t=t)["y"]
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, timestep_features(t), atol=1e-6)


@pytest.fixture
def ane(build: Build) -> Build:
    """ane(body, {input: array}, {key: array}): a float32 program in the Neural Engine's layout."""

    def make(
        body: Any, inputs: Mapping[str, Array], weights: Mapping[str, Array] | None = None
    ) -> MILProgram:
        return build(body, {n: x.shape for n, x in inputs.items()}, weights, target="ane")

    return make


def test_linear_is_a_convolution_for_the_neural_engine(ane: Build, run: Run, ops: Ops) -> None:
    x, w, b = normal(2, 5, 1, 40), normal(4, 5), normal(4)
    program = ane(
        lambda g, x: {"y": nn.linear(g, x, "l", 4, output="y")}, {"x": x}, {"l.weight": w, "l.bias": b}
    )
    assert ops(program) == ["conv"]
    expected = np.einsum("oc,bcis->bois", w, x) + b[:, None, None]
    np.testing.assert_allclose(run(program, x=x)["y"], expected, atol=1e-5)


def test_norms_over_channels(ane: Build, run: Run) -> None:
    x, w, b = 300 * normal(1, 16, 1, 40) + 9, normal(16), normal(16)

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {
            "layer": nn.layer_norm(g, x, "n", 1e-5, output="layer"),
            "rms": nn.rms_norm(g, x, "n", 1e-6, output="rms"),
            "small": nn.rms_norm(g, nn.mul(g, x, 1e-6), "n", 1e-6, output="small"),
            "heads": nn.mul(g, nn.head_rms_norm(g, x, 4, "h", 1e-6), 1.0, output="heads"),
        }

    out = run(ane(body, {"x": x}, {"n.weight": w, "n.bias": b, "h.weight": w[:4]}), x=x)
    gamma, beta = w[:, None, None], b[:, None, None]
    unit = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out["layer"], unit * gamma + beta, atol=1e-4)
    for name, value in (("rms", x), ("small", x * 1e-6)):
        expected = value / np.sqrt((value**2).mean(1, keepdims=True) + 1e-6) * gamma
        np.testing.assert_allclose(out[name], expected, rtol=1e-4, atol=1e-6)
    heads = x.reshape(4, 4, 40)
    expected = heads / np.sqrt((heads**2).mean(1, keepdims=True) + 1e-6) * w[:4, None]
    np.testing.assert_allclose(out["heads"], expected.reshape(x.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("queries", [40, 700])
def test_attention_by_head_and_chunk(ane: Build, run: Run, ops: Ops, queries: int) -> None:
    q, k, v = normal(1, 8, 1, queries), normal(1, 8, 1, 33), normal(1, 8, 1, 33)
    bias = normal(2, queries, 33)

    def body(g: Graph, q: Var, k: Var, v: Var) -> Mapping[str, Var]:
        mask = nn.attention_bias(g, "bias", bias.shape, lambda: bias)
        return {"y": nn.mul(g, nn.attention(g, q, k, v, name="a", mask=mask, heads=2), 1.0, output="y")}

    program = ane(body, {"q": q, "k": k, "v": v})
    chunks = -(-queries // QUERY_CHUNK)
    assert ops(program).count("einsum") == 2 * 2 * chunks
    qs, ks, vs = (x.reshape(2, 4, -1) for x in (q, k, v))
    scores = np.einsum("hdq,hdk->hqk", qs, ks) / 2 + bias
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("hqk,hdk->hdq", weights, vs).reshape(1, 8, 1, queries)
    np.testing.assert_allclose(run(program, q=q, k=k, v=v)["y"], expected, atol=1e-5)


def test_attention_for_the_neural_engine_asks_for_the_heads(ane: Build) -> None:
    x = normal(1, 8, 1, 40)
    with pytest.raises(ValueError, match="needs the number of heads"):
        ane(lambda g, x: {"y": nn.attention(g, x, x, x, name="a")}, {"x": x})


@pytest.mark.parametrize("tokens", [1, 31, 512, 513, 1178, 4429])
def test_query_chunks_cover_every_token_once(tokens: int) -> None:
    chunks = query_chunks(tokens)
    assert [i for begin, end in chunks for i in range(begin, end)] == list(range(tokens))
    assert all(end - begin <= QUERY_CHUNK and begin % 32 == 0 for begin, end in chunks)
    assert len(chunks) == -(-tokens // QUERY_CHUNK)


@pytest.mark.parametrize("kind", ["silu", "quick_gelu"])
def test_gates_are_products_for_the_neural_engine(ane: Build, run: Run, ops: Ops, kind: str) -> None:
    x = np.linspace(-8, 8, 64, dtype=np.float32).reshape(1, 1, 1, 64)
    program = ane(lambda g, x: {"y": nn.mul(g, nn.activation(g, x, kind), 1.0, output="y")}, {"x": x})
    assert kind not in ops(program)
    assert "sigmoid" in ops(program)
    expected = [ACTIVATIONS[kind](float(v)) for v in x.ravel()]
    np.testing.assert_allclose(run(program, x=x)["y"].ravel(), expected, atol=2e-6)


@pytest.mark.parametrize("layout", ["gpu", "ane"])
def test_first_match_takes_the_first_of_several(build: Build, run: Run, layout: Any) -> None:
    x = normal(1, 6, 5)
    ids = np.array([[3, 9, 1, 9, 9, 2]], np.int32)

    def body(g: Graph, x: Var, ids: Var) -> Mapping[str, Var]:
        row = nn.first_match(g, nn.tokens_from_rows(g, x, name="x"), ids, 9)
        row = nn.rows_from_vector(g, row, output="y") if layout == "ane" else nn.mul(g, row, 1.0, output="y")
        return {"y": row}

    program = build(body, {"x": x.shape, "ids": ids.shape}, dtypes={"ids": "int32"}, target=layout)
    np.testing.assert_allclose(run(program, x=x, ids=ids)["y"], x[:, 1], atol=1e-6)
