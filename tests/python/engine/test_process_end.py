"""A process may end while its threads still load, run and free models."""

import pathlib
import subprocess
import sys

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from .programs import build, save

ENDING = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
import ctypes_api, numpy as np

def work():
    while True:
        ctypes_api.Model(sys.argv[2]).predict({"x": np.ones((64, 64), np.float32)})

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(float(sys.argv[3]))
"""


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05, 0.1, 0.2, 0.3])
def test_threads_may_outlive_the_end(tmp_path: pathlib.Path, seconds: float) -> None:
    x = np.ones((64, 64), np.float32)
    program = build(lambda x: mb.matmul(x=mb.gelu(x=x), y=x), {"x": x}, ct.target.iOS17)
    package = save(program, tmp_path / "net.mlpackage", ct.target.iOS17)
    command = [sys.executable, "-c", ENDING, pathlib.Path(__file__).parent, package, str(seconds)]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
