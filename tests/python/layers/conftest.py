"""A weight provider over a dict of arrays, and one-op programs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tintype.layers import ComputedWeight, Graph, IOSpec, MILProgram, Var, build_program

Array = np.ndarray[Any, Any]


class DictWeights:
    """Implements `tintype.layers.WeightProvider`; asks for the exact shape."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.tensors = tensors

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        assert self.tensors[key].shape == shape, key
        return ComputedWeight(key, shape, lambda: self.tensors[key])

    def __contains__(self, key: object) -> bool:
        return key in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)


@pytest.fixture
def build() -> Callable[..., MILProgram]:
    """build(body, inputs={name: shape}, weights={key: array}, precision=…): a program of `body`."""

    def make(
        body: Callable[..., Mapping[str, Var]],
        inputs: Mapping[str, tuple[int, ...]],
        weights: Mapping[str, Array] | None = None,
        precision: str = "float32",
        dtypes: Mapping[str, str] | None = None,
        target: str = "gpu",
    ) -> MILProgram:
        specs = [IOSpec(n, (dtypes or {}).get(n, precision), s) for n, s in inputs.items()]
        return build_program(specs, DictWeights(weights or {}), precision, body, target)  # type: ignore[arg-type]

    return make


@pytest.fixture
def ops() -> Callable[[MILProgram], list[str]]:
    """The kinds of a program's ops, without constants, in order."""

    def kinds(program: MILProgram) -> list[str]:
        operations = program.program.functions["main"].operations
        return [op.op_type for op in operations if op.op_type != "const"]

    return kinds


@pytest.fixture
def run(tmp_path: Any) -> Callable[..., dict[str, Array]]:
    """run(program, name=array): writes the package and predicts on the engine."""
    import tintype
    from tintype.emit.package import write_package

    def predict(program: MILProgram, **inputs: npt.ArrayLike) -> dict[str, Array]:
        path = tmp_path / "m.mlpackage"
        write_package(program, path)
        typed = {s.name: np.asarray(inputs[s.name], s.dtype) for s in program.inputs}
        return tintype.load_model(path, backend="mlx").predict(typed)

    return predict


__all__ = ["DictWeights", "Graph"]
