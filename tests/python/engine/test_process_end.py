"""A process may end while its threads still load, run and free models."""

import os
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


# Forked before the engine is there, so that each has one of its own and nothing is imported thirty times.
INTERRUPTED = """
import os, random, signal, sys, threading, time
import numpy as np
import tintype

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell's children ignore it
package, others, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def predict_for_ever(started=None):
    model = tintype.load_model(package, "mlx")
    while True:
        model.predict({"x": np.ones((64, 64), np.float32)})
        if started:
            os.write(started, b".")
            started = None

def be_interrupted(started):
    try:
        for _ in range(others):
            threading.Thread(target=predict_for_ever, daemon=True).start()
        predict_for_ever(started)
    except KeyboardInterrupt:
        sys.exit(130)

delay = random.Random(times)
for _ in range(times):
    reader, started = os.pipe()
    child = os.fork()
    if child == 0:
        be_interrupted(started)
    assert os.read(reader, 1) == b"."
    time.sleep(delay.random() * 0.03)
    os.kill(child, signal.SIGINT)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os.close(reader)
    os.close(started)
"""


@pytest.mark.parametrize(("products", "others"), [(1, 0), (1, 2), (300, 2)])
def test_ctrl_c_during_a_run_ends_the_process_in_order(
    tmp_path: pathlib.Path, products: int, others: int
) -> None:
    """Calls of microseconds on the caller's thread, beside other threads', and long ones on the engine's."""

    def body(x):
        for _ in range(products):
            x = mb.tanh(x=mb.cumsum(x=mb.matmul(x=x, y=x), axis=0))
        return x

    program = build(body, {"x": np.ones((64, 64), np.float32)}, ct.target.iOS17)
    package = save(program, tmp_path / "net.mlpackage", ct.target.iOS17)
    command = [sys.executable, "-c", INTERRUPTED, str(package), str(others), "10"]
    # glibc fills what is freed: a use of it then crashes more often than once in a while.
    environment = {**os.environ, "MALLOC_PERTURB_": "165"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert (run.stdout.split(), run.stderr) == (["130"] * 10, "")
