"""What the tests share: the reference data, and bundles converted from it once a session."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tintype
from tintype.bundle import Bundle
from tintype.pipeline import Pipeline

DATA = pathlib.Path(__file__).parents[1] / "data"
DEMO_MODEL = pathlib.Path(tintype.__file__).parent / "_demo_model"

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """tests/data: goldens and the scripts that made them."""
    return DATA


@functools.cache
def _golden(path: str) -> Arrays:
    return load_file(DATA / f"{path}.safetensors")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Arrays]:
    """Golden tensors by path below tests/data, without suffix."""
    return _golden


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bundle]:
    """Converts a checkpoint folder of tests/data, or the demo model; each choice once a session."""

    @functools.cache
    def make(source: str, precision: str = "float32", batch: int = 1) -> Bundle:
        folder = DEMO_MODEL if source == "demo" else DATA / source
        output = tmp_path_factory.mktemp("bundles") / f"{source}-{precision}-{batch}"
        return tintype.convert(folder, output, precision=precision, batch=batch)

    return make


@pytest.fixture(scope="session")
def sd3(make_bundle: Callable[..., Bundle]) -> Bundle:
    """sd3-medium-tiny in float32."""
    return make_bundle("sd3-medium-tiny")


@pytest.fixture(scope="session")
def sd3_half(make_bundle: Callable[..., Bundle]) -> Bundle:
    """sd3-medium-tiny in float16."""
    return make_bundle("sd3-medium-tiny", "float16")


@pytest.fixture(scope="session")
def demo(make_bundle: Callable[..., Bundle]) -> Bundle:
    """The embedded demo model in float32."""
    return make_bundle("demo")


@pytest.fixture(scope="session")
def sd3_pipeline(sd3: Bundle) -> Pipeline:
    """sd3-medium-tiny on the MLX engine."""
    return Pipeline.load(sd3, backend="mlx")


@pytest.fixture(scope="session")
def demo_pipeline(demo: Bundle) -> Pipeline:
    """The demo model on the MLX engine."""
    return Pipeline.load(demo, backend="mlx")
