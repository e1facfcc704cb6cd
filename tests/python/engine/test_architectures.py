"""Whole networks of other people's architecture: right, the same to the bit every time and at any thread count."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from . import ctypes_api
from .architectures import NETWORKS, MILLayers, NumpyLayers
from .programs import Case, build, check, mb, save

SEED = 11


def inputs_of(name):
    random = np.random.RandomState(SEED)
    drawn = {}
    for key, (shape, dtype) in NETWORKS[name][1].items():
        drawn[key] = random.randint(0, 50, shape) if dtype is np.int32 else random.randn(*shape)
    return {key: value.astype(NETWORKS[name][1][key][1]) for key, value in drawn.items()}


def as_program(name):
    return lambda **given: NETWORKS[name][0](MILLayers(SEED), *given.values())


def in_numpy(name):
    def reference(*given):
        arrays = [x if x.dtype == np.int32 else x.astype(np.float64) for x in given]
        return NETWORKS[name][0](NumpyLayers(SEED), *arrays)

    return reference


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name):
    check(Case(name, as_program(name), inputs_of(name), in_numpy(name), tolerance=1e-4))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_to_the_bit_from_run_to_run(name, tmp_path):
    path = save(build(as_program(name), inputs_of(name)), tmp_path / "net.mlpackage")
    model = ctypes_api.Model(path)
    outputs = [model.predict(inputs_of(name)) for _ in range(5)]
    outputs.append(ctypes_api.Model(path).predict(inputs_of(name)))
    for other in outputs[1:]:
        for key, value in outputs[0].items():
            np.testing.assert_array_equal(other[key], value)


RUN_ALL = """
import pathlib, sys
import numpy as np
from tests.python.engine import ctypes_api
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.mlpackage")):
    inputs = dict(np.load(path.with_suffix(".npz")))
    for key, value in ctypes_api.Model(path).predict(inputs).items():
        sys.stdout.buffer.write(value.tobytes())
"""


def _large_ops():
    """Ops on enough elements for several tasks of the kernels: a program each, and its inputs."""
    random = np.random.RandomState(7)
    image = random.randn(1, 8, 12, 40, 40).astype(np.float32)
    places = random.randint(0, 90, (70000, 2)).astype(np.int32)
    window = {"kernel_sizes": [3, 9, 9], "strides": [1, 1, 1], "pad_type": "same"}
    weights = {d: random.randn(8, 6, 3, 3, 3).astype(d) for d in (np.float16, np.float32)}
    for dtype, weight in weights.items():

        def transposed(x, weight=weight):
            return mb.conv_transpose(x=x, weight=weight, strides=[2, 1, 2], pad_type="custom", pad=[1] * 6)

        yield f"conv_transpose-{weight.dtype}", transposed, {"x": image.astype(dtype)}
    yield "avg_pool", lambda x: mb.avg_pool(x=x, **window), {"x": image}
    yield "local_response_norm", lambda x: mb.local_response_norm(x=x, size=5), {"x": image[0]}
    yield (
        "scatter_nd",
        lambda x, at, updates: mb.scatter_nd(data=x, indices=at, updates=updates, mode="add"),
        {"x": image[0, 0].reshape(120, 160), "at": places, "updates": random.randn(70000).astype(np.float32)},
    )


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="processors are taken away with taskset's call"
)
def test_the_same_to_the_bit_at_one_and_two_threads(tmp_path):
    """A process that may use one processor, and one that may use all."""
    for name in NETWORKS:
        save(build(as_program(name), inputs_of(name)), tmp_path / f"{name}.mlpackage")
        np.savez(tmp_path / f"{name}.npz", **inputs_of(name))
    for name, op, inputs in _large_ops():
        save(build(op, inputs), tmp_path / f"{name}.mlpackage")
        np.savez(tmp_path / f"{name}.npz", **inputs)
    root = pathlib.Path(__file__).resolve().parents[3]
    pin = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    results = [
        subprocess.run(
            [sys.executable, "-c", prefix + RUN_ALL, str(tmp_path)], cwd=root, capture_output=True, check=True
        ).stdout
        for prefix in ("", pin)
    ]
    assert len(results[0]) > 1000
    assert results[0] == results[1]
