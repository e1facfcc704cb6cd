"""A process that forks: multiprocessing's default on Linux before Python 3.14."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from .programs import build, save

START = """
import multiprocessing, os, sys, threading
sys.path.insert(0, sys.argv[1])
import ctypes_api, numpy as np

path, X = sys.argv[2], {"x": np.ones((64, 64), np.float32)}

def text_of(call):
    try:
        call()
        return "ran"
    except ctypes_api.EngineError as error:
        return str(error)
"""

# The child of a process that computes at the moment of the fork, which then ends as every process does.
AFTER = """
def work():
    while True:
        ctypes_api.Model(path).predict(X)

model = ctypes_api.Model(path)
model.predict(X)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if not child:
        texts = {text_of(lambda: ctypes_api.Model(path)), text_of(lambda: model.predict(X))}
        del model
        print(*texts, flush=True)
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
model.predict(X)
"""

POOL = """
def load(_):
    return text_of(lambda: ctypes_api.Model(path))

model = ctypes_api.Model(path)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*pool.map(load, range(4)), sep="\\n")
"""

BEFORE = """
child = os.fork()
if not child:
    print(text_of(lambda: ctypes_api.Model(path).predict(X)), flush=True)
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
print(text_of(lambda: ctypes_api.Model(path).predict(X)))
"""

REFUSED = (
    "this process was forked after the engine had started, and the engine's threads are not in it. Start "
    'processes with multiprocessing\'s "spawn" or "forkserver", or load the first model after the fork.'
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    program = build(lambda x: mb.matmul(x=mb.gelu(x=x), y=x), {"x": np.ones((64, 64), np.float32)})
    return save(program, tmp_path_factory.mktemp("fork") / "net.mlpackage")


def lines_of(script: str, package: pathlib.Path) -> list[str]:
    command = [sys.executable, "-c", START + script, pathlib.Path(__file__).parent, package]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


def test_a_child_of_a_process_with_an_engine_is_refused_and_ends(package: pathlib.Path) -> None:
    assert lines_of(AFTER, package) == [REFUSED] * 20


def test_workers_of_multiprocessing(package: pathlib.Path) -> None:
    assert lines_of(POOL, package) == [REFUSED] * 4


def test_a_fork_before_the_engine_starts(package: pathlib.Path) -> None:
    assert lines_of(BEFORE, package) == ["ran", "ran"]
