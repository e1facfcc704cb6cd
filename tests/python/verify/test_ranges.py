"""The range audit: the op that overflows is named, and the shipped graphs do not."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import tintype
from tintype import layers as nn
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.emit.package import write_package
from tintype.errors import UsageError
from tintype.layers import Graph, IOSpec, Var, add_ranges, build_program
from tintype.verify import Range, audit_ranges


class Nothing:
    """A provider without tensors."""

    def get(self, key: str, shape: tuple[int, ...]) -> nn.ComputedWeight:
        raise AssertionError(key)

    def __contains__(self, key: object) -> bool:
        return False


def test_every_op_tells_its_largest_magnitude(tmp_path: Path) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        y = nn.mul(g, x, 300.0, name="large")
        z = nn.mul(g, y, y, name="square")
        wide = nn.cast(g, nn.cast(g, y, np.float32, name="wide"), np.float16, name="narrow")
        g.op("identity", x=z, name="kept")
        return {"y": nn.mul(g, wide, 0.5, output="y")}

    program = build_program((IOSpec("x", "float16", (2, 3)),), Nothing(), "float16", body)
    ranged = add_ranges(program)
    write_package(ranged.program, tmp_path / "m.mlpackage")
    x = np.array([[0, 1, -2], [0.5, 0, 0]], np.float16)
    out = tintype.load_model(tmp_path / "m.mlpackage", backend="mlx").predict({"x": x})
    assert out["y"].max() == 150
    found = {name: float(v) for (name, _), v in zip(ranged.labels, out["ranges"], strict=True)}
    assert found == {
        "large": 600, "square": math.inf, "wide": 600, "narrow": 600, "kept": math.inf, "y": 300,
    }  # fmt: skip
    assert dict(ranged.labels)["wide"] == "float32"
    assert Range("c", "square", "float16", math.inf).overflows
    assert Range("c", "square", "float16", math.inf).to_json()["largest"] is None


def test_the_neural_engine_graphs_stay_in_range(
    ane: Bundle, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(data / "sd3-medium-tiny")
    assert run_command(["verify", str(ane.root), "--against", source, "--ranges", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    rows = {(r["component"], r["op"]): r for r in value["ranges"]}
    assert value["float16_max"] == 65504
    assert {r["component"] for r in value["ranges"]} == set(ane.components)
    assert 0 < rows["modulation", "modulation"]["largest"] < 1000
    assert 1 < rows["denoiser", "transformer_blocks_2_ff_residual"]["largest"] < 1000
    assert ane.root is not None
    assert not list(ane.root.parent.glob(".tintype-*"))


@pytest.mark.parametrize(("model", "target"), [("sd3.5-large-tiny", "ane"), ("flux-dev-tiny", "gpu")])
def test_both_families_stay_in_range(
    make_bundle: Callable[..., Bundle], data: Path, model: str, target: str
) -> None:
    """In the loud transformers of models/test_float16_range.py the audit would name the op."""
    bundle = make_bundle(model, "float16", 1, target)
    found = audit_ranges(bundle, data / model)
    assert {r.component for r in found} == set(bundle.components)
    assert [r for r in found if r.overflows] == []
    streams = [r for r in found if r.component == "denoiser" and r.op.endswith("residual")]
    assert len(streams) > 5
    wide = model.startswith("flux") and target == "gpu"
    assert {r.dtype for r in streams} == {"float32" if wide else "float16"}


def test_the_checkpoint_must_be_named(ane: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["verify", str(ane.root), "--ranges"]) == 2
    assert "--ranges builds the graphs again: name their checkpoint" in capsys.readouterr().err
    assert issubclass(UsageError, ValueError)
