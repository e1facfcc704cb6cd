"""Ops made as copies of earlier ones: what coremltools would have made of each."""

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb

from tintype import convert, names
from tintype import layers as nn
from tintype.layers import Graph, MILProgram, Var
from tintype.layers.repeats import Repeats

Build = Callable[..., MILProgram]

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")


def operations(program: MILProgram) -> list[Any]:
    return [op for op in program.default_function.operations if op.op_type != "const"]


def test_a_copy_is_connected_and_named_as_its_own(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        for name in ("a", "b", "c"):
            left, right = nn.split(g, x, 2, 1, name=f"{name}_split")
            x = nn.concat(g, [right, left], 1, name=name)
        return {"y": nn.mul(g, x, 2.0, output="y")}

    program = build(body, {"x": (2, 6)})
    program.program.validate()  # every use is known to its producer, and the other way round
    splits = [op for op in operations(program) if op.op_type == "split"]
    joins = [op for op in operations(program) if op.op_type == "concat"]
    assert [[v.name for v in op.outputs] for op in splits] == [
        [f"{n}_split_0", f"{n}_split_1"] for n in ("a", "b", "c")
    ]
    assert [op.name for op in joins] == ["a", "b", "c"]
    for split, join in zip(splits, joins, strict=True):
        assert list(join.values) == split.outputs[::-1]
    for join, split in zip(joins, splits[1:], strict=False):
        assert split.x is join.outputs[0]
        assert join.outputs[0].child_ops == [split]


def test_other_shapes_dtypes_and_parameters_are_inferred_anew(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        a = nn.transpose(g, x, (1, 0, 2), name="a")
        b = nn.transpose(g, x, (2, 1, 0), name="b")
        c = nn.transpose(g, a, (1, 0, 2), name="c")
        d = nn.cast(g, nn.transpose(g, nn.cast(g, b, np.float16), (2, 1, 0), name="d"), np.float32)
        return {"y": nn.add(g, c, d, output="y")}

    shapes = {
        op.name: (op.outputs[0].shape, op.outputs[0].dtype)
        for op in operations(build(body, {"x": (2, 3, 4)}))
    }
    assert [shapes[n][0] for n in "abcd"] == [(3, 2, 4), (4, 3, 2), (2, 3, 4), (2, 3, 4)]
    assert shapes["c"][1] is not shapes["d"][1]


def test_weights_of_one_shape_are_told_apart(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        for n in range(3):
            x = nn.linear(g, x, f"l{n}", 4)
        return {"y": nn.mul(g, x, 1.0, output="y")}

    weights = {
        f"l{n}.{part}": np.full(s, n) for n in range(3) for part, s in (("weight", (4, 4)), ("bias", (4,)))
    }
    program = build(body, {"x": (1, 4)}, weights)
    assert [op.weight.name for op in operations(program) if op.op_type == "linear"] == [
        f"l{n}_weight" for n in range(3)
    ]


def test_known_values_are_computed_each(build: Build) -> None:
    """Ops on constants have values, which are never another op's."""

    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        two, three = (nn.mul(g, g.const(v, "v", np.float32), 1.0, name=f"v{v}") for v in (2, 3))
        assert (float(two.val), float(three.val)) == (2.0, 3.0)
        return {"y": nn.mul(g, nn.mul(g, x, two), three, output="y")}

    build(body, {"x": (1,)})


@pytest.mark.parametrize("target", ["gpu", "ane"])
@pytest.mark.parametrize("source", ["sd3.5-medium-tiny", "flux-dev-tiny"])
def test_same_bytes_without_copies(
    source: str, target: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(folder: Path) -> list[bytes]:
        options: dict[str, Any] = {"size": [(64, 64), (96, 64)], "target": target}
        bundle = convert(data / source, folder, **options)
        return [
            (bundle.package_paths(name)[0] / MODEL).read_bytes()
            for name in names.COMPONENTS
            if name in bundle.components
        ]

    copies = whole(tmp_path / "copies")
    monkeypatch.setattr(
        Repeats, "add", lambda self, kind, name, inputs: getattr(mb, kind)(name=name, **inputs)
    )
    assert whole(tmp_path / "plain") == copies


def test_a_released_program_needs_no_garbage_collection(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        left, right = nn.split(g, x, 2, 1, name="split")
        return {"y": nn.concat(g, [right, left], 1, output="y")}

    program = build(body, {"x": (2, 6)})
    ops = [weakref.ref(op) for op in program.default_function.operations]
    assert len(ops) > 2
    with nn.uncollected():
        program.release()
        assert not any(ref() for ref in ops)
    assert [spec.name for spec in program.outputs] == ["y"]
