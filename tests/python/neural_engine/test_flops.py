"""FLOPs against numbers worked out by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import tintype
from tintype import layers as nn
from tintype.layers import Graph, Var
from tintype.neural_engine import inspect_package
from tintype.neural_engine.flops import flops
from tintype.run.package import read_package
from tintype.run.program import read_program

Package = Callable[..., Path]


def counted(path: Path) -> dict[str, int]:
    function = read_program(path)[0]
    return {op.kind: flops(function, op) for op in function.ops}


def test_convolutions_count_their_taps(package: Package) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        y = nn.conv2d(g, x, "c", 8, 3, padding=1)
        return {"y": nn.mul(g, y, 0.5, output="y")}

    # 8·6·5 outputs of 4·3·3 multiply-adds and a bias
    assert counted(package(body, {"x": (1, 4, 6, 5)})) == {"conv": 240 * 72 + 240, "mul": 240}


def test_attention_in_either_form_counts_the_same_products(package: Package) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        x = nn.tokens_from_rows(g, x, name="x")
        x = nn.split_heads(g, x, 2, name="heads")
        y = nn.attention(g, x, x, x, heads=2, name="a", scale=1.0 if g.channels_first else None)
        return {"y": nn.mul(g, y, 1.0, output="y")}

    products = 2 * (2 * 40 * 40 * 32) * 2  # two heads, scores and values
    softmax = 5 * 2 * 40 * 40
    path = package(body, {"x": (1, 40, 64)})
    function = read_program(path)[0]
    assert sum(flops(function, op) for op in function.ops) == products + softmax + 40 * 64
    einsums = [flops(function, op) for op in function.ops if op.kind == "einsum"]
    assert einsums == [2 * 40 * 40 * 32] * 4


def test_the_fused_attention(package: Package) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        x = nn.split_heads(g, x, 2, name="heads")
        return {"y": nn.mul(g, nn.attention(g, x, x, x, name="a"), 1.0, output="y")}

    rows = counted(package(body, {"x": (1, 40, 64)}, "gpu"))
    assert rows["scaled_dot_product_attention"] == 2 * 40 * 40 * (4 * 32 + 5)
    assert rows["transpose"] == rows["reshape"] == 0


def test_linear_and_matmul(package: Package) -> None:
    def body(g: Graph, x: Var, z: Var) -> Mapping[str, Var]:
        y = nn.linear(g, x, "l", 6)  # (2, 3, 6)
        return {"y": g.op("matmul", x=y, y=z, output="y")}

    rows = counted(package(body, {"x": (2, 3, 5), "z": (2, 6, 7)}, "gpu"))
    assert rows == {"linear": 36 * 10 + 36, "matmul": 2 * (2 * 3 * 7) * 6}


@pytest.mark.parametrize("size", [32, 64])
def test_bytes_and_padding(package: Package, size: int) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        return {"y": nn.linear(g, x, "l", 16, output="y")}

    report = inspect_package(package(body, {"x": (1, 16, 1, size - 1)}))
    assert report.weight_bytes == 2 * (16 * 16 + 16)
    assert report.parameters == 16 * 16 + 16
    assert report.value_bytes == 2 * 2 * 16 * (size - 1)
    assert report.padding_bytes == 2 * 16


@pytest.mark.parametrize("recipe", ["int8", "int4", "palette4"])
def test_compressed_weights_are_read_too(data: Path, tmp_path: Path, recipe: str) -> None:
    """Their codes and scales stand in the arguments of an op themselves, and not in constants of their own."""
    bundle = tintype.convert(
        data / "sd3-medium-tiny",
        tmp_path / "small.bundle",
        quantize=f"text_encoder={recipe}",
        components=["text_encoder"],
        gate=None,
    )
    (path,) = bundle.package_paths("text_encoder")
    report, summary = inspect_package(path), read_package(path)
    assert report.parameters == summary.parameters
    stored = sum(constant.stored for constant in read_program(path)[0].constants.values())
    # A tensor has a row of 64 bytes before it, and fills its last one.
    assert 0 < summary.weight_bytes - report.weight_bytes <= 64 + 127 * stored
    assert report.weight_bytes > summary.weight_bytes / 2
    assert report.roofline["M1"] == pytest.approx(1000 * report.weight_bytes / 68.25e9)
