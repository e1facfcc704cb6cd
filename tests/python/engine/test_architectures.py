"""Whole networks of other people's architecture: right, the same to the bit every time and at any thread count."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from . import ctypes_api
from .architectures import NETWORKS, MILLayers, NumpyLayers
from .programs import Case, build, check, save

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


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="processors are taken away with taskset's call"
)
def test_the_same_to_the_bit_at_one_and_two_threads(tmp_path):
    """A process that may use one processor, and one that may use all."""
    for name in NETWORKS:
        save(build(as_program(name), inputs_of(name)), tmp_path / f"{name}.mlpackage")
        np.savez(tmp_path / f"{name}.npz", **inputs_of(name))
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
