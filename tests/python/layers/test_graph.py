"""Names, scopes and constants of a graph under construction."""

import gc
import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tintype import layers as nn
from tintype.layers import Graph, MILProgram, Var
from tintype.layers.graph import MIN_FILE_ELEMENTS

Build = Callable[..., MILProgram]


def names_of(program: MILProgram) -> list[str]:
    return [v.name for op in program.program.functions["main"].operations for v in op.outputs]


def test_scopes_name_weights_and_ops(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        with g.scope("blocks.0"), g.scope("attn"):
            assert g.key("to_out.0") == "blocks.0.attn.to_out.0"
            assert g.has("to_out.0.weight")
            y = nn.linear(g, x, "to_out.0", 4)
        return {"y": nn.mul(g, y, 2.0, output="y")}

    weights = {"blocks.0.attn.to_out.0.weight": np.ones((4, 3)), "blocks.0.attn.to_out.0.bias": np.ones(4)}
    program = build(body, {"x": (1, 3)}, weights)
    assert "blocks_0_attn_to_out_0" in names_of(program)
    assert list(program.weights) == ["blocks_0_attn_to_out_0_weight"]
    assert program.parameters == 16
    assert program.outputs == (nn.IOSpec("y", "float32", (1, 4)),)


def test_names_are_identifiers_and_unique(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        for _ in range(3):
            x = nn.add(g, x, 1.0, name="0.x-ÿ")
        x = nn.add(g, x, 1.0, name="x")  # the input's name
        return {"y": nn.add(g, x, 1.0, output="y")}

    names = names_of(build(body, {"x": (2,)}))
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", n) for n in names)
    assert "x" not in names


def test_equal_constants_are_shared(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        for _ in range(4):
            x = nn.transpose(g, nn.mul(g, x, 0.5), (1, 0))
        return {"y": nn.mul(g, x, 0.5, output="y")}

    program = build(body, {"x": (2, 3)})
    constants = [op for op in program.program.functions["main"].operations if op.op_type == "const"]
    assert len(constants) == 2


def test_a_weight_asked_for_twice_is_one_constant(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        x = nn.linear(g, nn.linear(g, x, "l", 4), "l", 4)
        return {"y": nn.mul(g, x, 1.0, output="y")}

    program = build(body, {"x": (1, 4)}, {"l.weight": np.ones((4, 4)), "l.bias": np.ones(4)})
    assert program.parameters == 20


def test_large_constants_hold_no_memory(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        big = g.computed("big", (1 << 20, 1 << 10), np.float16, lambda: pytest.fail("computed too early"))
        return {"y": nn.mul(g, big, x, output="y")}

    program = build(body, {"x": (1, 1)}, precision="float16")
    (constant,) = [
        v for op in program.program.functions["main"].operations for v in op.outputs if v.name == "big"
    ]
    assert constant.val.base is not None
    assert constant.val.strides == (0, 0)


def test_small_constants_are_written_into_the_program(build: Build) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        small = g.weight("small", (MIN_FILE_ELEMENTS - 1,), np.float32)
        return {"y": nn.add(g, x, small, output="y")}

    program = build(body, {"x": (9,)}, {"small": np.arange(9, dtype=np.float32)})
    assert not program.weights


def test_output_must_carry_its_name(build: Build) -> None:
    with pytest.raises(ValueError, match="the output 'y' comes from an op called"):
        build(lambda g, x: {"y": nn.mul(g, x, 2.0)}, {"x": (1,)})


def test_output_name_must_be_free(build: Build) -> None:
    with pytest.raises(ValueError, match="the name of the output 'x' is taken"):
        build(lambda g, x: {"x": nn.mul(g, x, 2.0, output="x")}, {"x": (1,)})


def test_doubles_are_refused(build: Build) -> None:
    with pytest.raises(TypeError, match="double is not a Core ML type"):
        build(lambda g, x: {"y": g.op("mul", x=x, y=g.const(0.5, "half"), output="y")}, {"x": (1,)})


def test_computed_weights_are_checked_against_their_shape() -> None:
    weight = nn.ComputedWeight("w", (2, 2), lambda: np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"w was computed as \(3,\), declared as \(2, 2\)"):
        weight.array(np.float32)


@pytest.mark.parametrize("error", [None, RuntimeError])
@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_not_collected_while_a_graph_grows(
    build: Build, collecting: bool, error: type[Exception] | None
) -> None:
    def body(g: Graph, x: Var) -> Mapping[str, Var]:
        assert not gc.isenabled()
        if error:
            raise error("a body that fails")
        return {"y": nn.add(g, x, 1.0, output="y")}

    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        if error:
            with pytest.raises(error, match="a body that fails"):
                build(body, {"x": (2,)})
        else:
            build(body, {"x": (2,)})
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()
