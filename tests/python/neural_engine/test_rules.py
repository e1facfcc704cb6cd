"""Every rule with an op that breaks it; and our own graphs, which break none that counts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tintype import layers as nn
from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.layers import Graph, Var
from tintype.neural_engine import inspect_package
from tintype.neural_engine.report import _notes
from tintype.run.program import Tensor, read_program

Package = Callable[..., Path]


def out(g: Graph, y: Var) -> Mapping[str, Var]:
    return {"y": nn.mul(g, y, 1.0, output="y")}


CASES: list[tuple[str, str, Any, dict[str, tuple[int, ...]], str]] = [
    ("layout", "linear", lambda g, x: out(g, nn.linear(g, x, "l", 64)), {"x": (1, 8, 64)}, "1×1 convolution"),
    ("attention", "scaled_dot_product_attention", lambda g, x: out(g, nn.attention(g, x, x, x, name="a")), {"x": (1, 64, 2, 64)}, "fused"),
    ("attention", "matmul", lambda g, x, z: out(g, g.op("matmul", x=x, y=z)), {"x": (1, 64, 64), "z": (1, 64, 64)}, "as matmul"),
    ("fall-back", "silu", lambda g, x: out(g, nn.activation(g, x, "silu")), {"x": (1, 64, 64)}, "sigmoid"),
    ("fall-back", "sin", lambda g, x: out(g, g.op("sin", x=x)), {"x": (1, 64, 64)}, "trigonometry"),
    ("dtype", "cast", lambda g, x: out(g, nn.cast(g, nn.cast(g, x, "float32"), "float16")), {"x": (1, 64)}, "float32"),
    ("width", "mul", lambda g, x: out(g, x), {"x": (1, 1500, 100, 1)}, "a last axis of 1 pads"),
    ("attention", "softmax", lambda g, x: out(g, g.op("softmax", x=x, axis=g.const(1, "axis"))), {"x": (1, 8192, 1, 8192)}, "MB of scores"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "op", "body", "inputs", "reason"), CASES)
def test_each_rule(package: Package, rule: str, op: str, body: Any, inputs: Any, reason: str) -> None:
    path = package(body, inputs, "gpu")
    report = inspect_package(path)
    miss = next(m for m in report.misses if m.op == op)
    assert miss.rule == rule
    assert reason in miss.reason
    assert miss.place in {o.place for o in read_program(path)[0].ops if o.kind == op}
    assert report.to_json()["forecast"] is True


REFERENCES = (
    "sd3-medium-tiny",
    "sd3.5-medium-tiny",
    "sd3.5-large-tiny",
    "flux-schnell-tiny",
    "flux-dev-tiny",
)


@pytest.mark.parametrize("source", REFERENCES)
def test_all_work_of_our_graphs_keeps_the_rules(source: str, make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle(source, "float16", 1, "ane")
    assert set(bundle.components) >= {names.MODULATION, names.DENOISER, names.VAE_DECODER, names.VAE_ENCODER}
    for name, component in bundle.components.items():
        report = inspect_package(bundle.package_paths(name)[0])
        assert report.clean_flops == report.flops > 0
        assert report.share == 1
        if any(spec.name == names.INPUT_IDS for spec in component.inputs):
            # Reading the ids is all that is left, at the very beginning.
            assert {m.op for m in report.misses} <= {"gather", "equal"}
        else:
            assert report.misses == ()
            assert report.segments == 1
    assert run_command(["inspect", "--neural-engine", "--require", "100%", str(bundle.root)]) == 0


def test_the_gpu_graph_does_not(sd3_half: Bundle) -> None:
    report = inspect_package(sd3_half.package_paths(names.DENOISER)[0])
    assert report.share < 0.2
    assert {m.rule for m in report.misses} >= {"layout", "attention"}
    assert sum(m.flops for m in report.misses) == report.flops - report.clean_flops


def test_large_packages_are_noted() -> None:
    assert list(_notes(500_000_000)) == []
    assert "4.06 GB of weights" in next(iter(_notes(2_030_000_000)))


def test_tensors_know_their_size() -> None:
    assert Tensor("uint4", (3, 5), 4).bytes == 8
    assert not Tensor("float16", (1, -1), 16).static
