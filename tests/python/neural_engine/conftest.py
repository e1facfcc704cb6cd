"""Packages of a few ops."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.emit.package import write_package
from tintype.layers import ComputedWeight, IOSpec, build_program


class Zeros:
    """A provider of zeros of any shape."""

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        return ComputedWeight(key, shape, lambda: np.zeros(shape, np.float32))

    def __contains__(self, key: object) -> bool:
        return True


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """package(body, {input: shape}, target=…): the package of `body` in float16."""

    def make(
        body: Any, inputs: Mapping[str, tuple[int, ...]], target: Any = "ane", precision: Any = "float16"
    ) -> Path:
        specs = [IOSpec(name, precision, shape) for name, shape in inputs.items()]
        path = tmp_path / "m.mlpackage"
        write_package(build_program(specs, Zeros(), precision, body, target), path)
        return path

    return make
