"""Where a limit of the process (`ulimit -v`, `ulimit -d`) lets allocations fail, calls are refused; none crashes."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from . import ctypes_api
from .programs import build, mb, save

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are Linux'")

MIB = 1 << 20


def zeros(*shape):
    return np.zeros(shape, np.float32)


def of(*values):
    return np.array(values, np.int32)


def chain(n):
    for step in range(1, 11):
        n = mb.add(x=n, y=np.full(1, step, np.int32))
    return mb.reduce_sum(x=n, axes=[0])


#: Results, or what is computed on the way to them, of 2.4 to 15 GB.
HUGE = {
    "one_hot": (lambda n: mb.one_hot(indices=n, one_hot_vector_size=300_000_000), {"n": of(1, 2)}),
    "range_1d": (
        lambda x: mb.range_1d(end=mb.squeeze(x=x), start=np.float32(0), step=np.float32(1)),
        {"x": np.array([9e8], np.float32)},
    ),
    "fill": (lambda n: mb.fill(shape=n, value=3.0), {"n": of(30000, 30000)}),
    "sliding_windows": (lambda x: mb.sliding_windows(x=x, axis=0, size=30000), {"x": zeros(60000)}),
    "select": (
        lambda x, y: mb.select(cond=mb.greater(x=x, y=0.0), a=x, b=y),
        {"x": zeros(30000, 1), "y": zeros(1, 30000)},
    ),
    "pad": (lambda x: mb.pad(x=x, pad=[0, 30000, 0, 30000]), {"x": zeros(2, 2)}),
    "upsample": (
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=15000, scale_factor_width=15000),
        {"x": zeros(1, 1, 2, 2)},
    ),
    "cast": (
        lambda x, y: mb.cast(x=mb.greater(x=x, y=y), dtype="int32"),
        {"x": zeros(30000, 1), "y": zeros(1, 30000)},
    ),
    "logical_and": (
        lambda x, y: mb.logical_and(x=mb.greater(x=x, y=y), y=mb.less(x=x, y=y)),
        {"x": zeros(60000, 1), "y": zeros(1, 60000)},
    ),
    "a loop": (
        lambda n: mb.while_loop(
            _cond=lambda n, x: mb.less(x=mb.reduce_sum(x=x), y=np.float32(1)),
            _body=lambda n, x: (n, mb.reduce_sum(x=mb.fill(shape=n, value=1.0), axes=[1])),
            loop_vars=(n, np.zeros(30000, np.float32)),
        )[1],
        {"n": of(30000, 30000)},
    ),
}

CHILD = """
import json, pathlib, resource, sys
sys.path.insert(0, sys.argv[1])
import ctypes_api, numpy as np

def taken(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024

which, key, left, folder = sys.argv[2], sys.argv[3], int(sys.argv[4]), pathlib.Path(sys.argv[5])
models = {path.stem: (ctypes_api.Model(path), dict(np.load(path.with_suffix(".npz")))) for path in
          sorted(folder.glob("*.mlpackage"))}
model, inputs = models.pop("warm")
model.predict(inputs)  # the threads are there
resource.setrlimit(getattr(resource, which), (taken(key) + left, resource.RLIM_INFINITY))
for name, (model, inputs) in models.items():
    try:
        found = [0, str({key: value.tolist() for key, value in model.predict(inputs).items()})]
    except ctypes_api.EngineError as error:
        found = [error.status, str(error)]
    print(json.dumps([name, *found]), flush=True)
"""


def under(limit, left, programs, folder):
    """name → (status, text) of the programs' predicts in a process with `left` bytes below `limit`."""
    for name, (op, inputs) in {
        **programs,
        "warm": (lambda x: mb.exp(x=mb.add(x=x, y=x)), {"x": zeros(4)}),
    }.items():
        save(build(op, inputs), folder / f"{name}.mlpackage")
        np.savez(folder / f"{name}.npz", **inputs)
    key = {"RLIMIT_AS": "VmSize:", "RLIMIT_DATA": "VmData:"}[limit]
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-c", CHILD, here, limit, key, left, folder]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr + run.stdout
    return {name: (status, text) for name, status, text in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_what_is_larger_than_the_limit_is_refused(limit, tmp_path):
    found = under(limit, 1500 * MIB, HUGE, tmp_path)
    assert set(found) == set(HUGE)
    for status, text in found.values():
        assert status == ctypes_api.OUT_OF_MEMORY, text
        assert "larger than memory" in text


#: What a result below 256 MiB says, for which the machine is not asked beforehand.
REFUSED = (
    "the system refuses the memory for what is computed, got 114 MiB, expected at most {n} MiB. "
    "Raise the process' limit (ulimit -v, ulimit -d), or use a smaller model or input."
)


def test_a_small_result_is_refused_where_it_is_computed(tmp_path):
    programs = {"fill": (lambda n: mb.fill(shape=n, value=3.0), {"n": of(30_000_000)})}
    status, text = under("RLIMIT_AS", 80 * MIB, programs, tmp_path)["fill"]
    assert status == ctypes_api.OUT_OF_MEMORY
    before, after = REFUSED.split("{n}")
    assert text.startswith(before), text
    assert text.endswith(after)
    assert int(text[len(before) : -len(after)]) <= 80


def test_what_fits_one_after_another_is_computed(tmp_path):
    """Ten sums of 80 MB each where 500 MB are left: MLX would take memory for all of them at once."""
    count = 20_000_000
    programs = {"chain": (chain, {"n": np.arange(count, dtype=np.int32) % 7})}
    status, text = under("RLIMIT_AS", 500 * MIB, programs, tmp_path)["chain"]
    assert status == 0, text
    expected = int((np.arange(count) % 7).sum() + 55 * count)
    assert str(expected) in text
