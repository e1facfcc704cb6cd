"""What the tests share: the reference data, and bundles converted from it once a session."""

import functools
import json
import os
import pathlib
import shlex
import subprocess
import sysconfig
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tintype
from tintype.bundle import Bundle
from tintype.pipeline import Pipeline
from tintype.verify import gate
from tintype.weight import ComputedWeight

DATA = pathlib.Path(__file__).parent / "data"
DEMO_MODEL = pathlib.Path(tintype.__file__).parent / "_demo_model"

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="session", autouse=True)
def unasked_gate() -> Iterator[None]:
    """Conversions measure accuracy only where a test asks for it: every other one takes seconds less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "MOST_SHARE", 0.0)
        yield


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions measure accuracy as users' do."""
    monkeypatch.setattr(gate, "MOST_SHARE", 0.5)


@pytest.fixture(scope="session")
def auto_reasons() -> dict[str, str]:
    """What "auto" says of the backend that runs a model, as Swift has it too."""
    reasons: dict[str, str] = json.loads((DATA / "auto_reasons.json").read_text())
    return reasons


@pytest.fixture(scope="session")
def swift_runtime() -> None:
    """For what only an installation that was built with Swift can do."""
    note = pathlib.Path(tintype.__file__).parent / "lib" / "NO_SWIFT.txt"
    if note.exists():
        pytest.skip(note.read_text())


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The runtime without models (fake_runtime.c), compiled once a session."""
    source = pathlib.Path(__file__).parent / "python" / "run" / "fake_runtime.c"
    library = tmp_path_factory.mktemp("fake") / "libfake_runtime.so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    headers = source.parents[3] / "bridge" / "c"
    flags = ["-std=c11", "-shared", "-fPIC", f"-I{headers}", "-o", str(library)]
    try:
        subprocess.run([*compiler, *flags, str(source)], check=True)
    except FileNotFoundError:
        subprocess.run(["cc", *flags, str(source)], check=True)
    return library


class AnyWeights:
    """Hands out random tensors of whatever shape is asked for, and remembers the keys."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[int, ...]] = {}

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        assert self.asked.setdefault(key, shape) == shape
        return ComputedWeight(key, shape, lambda: self.value(key))

    def value(self, key: str) -> Any:
        """The tensor `key`: float32, the same each time."""
        shape = self.asked[key]
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    def __contains__(self, key: object) -> bool:
        return True


@pytest.fixture
def weights() -> AnyWeights:
    """A fresh provider of every tensor that a model asks for."""
    return AnyWeights()


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
    """Converts a checkpoint folder of tests/data, or the demo model, for its goldens' size; each choice once
    a session."""

    @functools.cache
    def make(source: str, precision: str = "float32", batch: int = 1, target: str = "gpu") -> Bundle:
        folder = DEMO_MODEL if source == "demo" else DATA / source
        output = tmp_path_factory.mktemp("bundles") / f"{source}-{precision}-{batch}-{target}"
        golden = folder / "golden" / "generate.json"
        run = json.loads(golden.read_text()) if golden.is_file() else {}
        size = (run["width"], run["height"]) if run else None
        return tintype.convert(folder, output, precision=precision, batch=batch, target=target, size=size)

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
def ane(make_bundle: Callable[..., Bundle]) -> Bundle:
    """sd3-medium-tiny for the Neural Engine."""
    return make_bundle("sd3-medium-tiny", "float16", 1, "ane")


@pytest.fixture(scope="session")
def demo_ane(make_bundle: Callable[..., Bundle]) -> Bundle:
    """The demo model for the Neural Engine."""
    return make_bundle("demo", "float16", 1, "ane")


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


@pytest.fixture(scope="session")
def small_weight() -> np.ndarray[Any, Any]:
    """The weight [64, 3] of `small_package`."""
    return np.random.default_rng(3).standard_normal((64, 3)).astype(np.float16)


@pytest.fixture(scope="session")
def small_package(tmp_path_factory: pytest.TempPathFactory, small_weight: Any) -> pathlib.Path:
    """A package that coremltools wrote: y = relu(linear(x)), float16 [2, 3] → [2, 64]."""
    import coremltools as ct
    from coremltools.converters.mil import Builder

    @Builder.program(
        input_specs=[Builder.TensorSpec((2, 3), ct.converters.mil.mil.types.fp16)],
        opset_version=ct.target.iOS17,
    )
    def program(x: Any) -> Any:
        linear = Builder.linear(x=x, weight=small_weight, bias=np.zeros(64, np.float16))
        return Builder.relu(x=linear, name="y")

    model = ct.convert(program, minimum_deployment_target=ct.target.iOS17)
    model.author = "Zoë"
    model.user_defined_metadata["key"] = "value"
    path = tmp_path_factory.mktemp("packages") / "small.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture(scope="session")
def identity_package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A package that returns its input: float32 [2, 3]."""
    import coremltools as ct
    from coremltools.converters.mil import Builder

    @Builder.program(input_specs=[Builder.TensorSpec((2, 3))], opset_version=ct.target.iOS17)
    def program(x: Any) -> Any:
        return Builder.identity(x=x, name="y")

    model = ct.convert(program, compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY)
    path = tmp_path_factory.mktemp("packages") / "identity.mlpackage"
    model.save(str(path))
    return path
