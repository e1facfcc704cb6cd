"""Core ML loads that take longer than they may, on the runtime that sleeps as its model's path asks."""

import pathlib
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tintype import names
from tintype.errors import EngineError, UsageError
from tintype.run import FallbackWarning, load_model
from tintype.run.loading import load_with
from tintype.run.runtimes import Runtimes

ENDING = """
import pathlib, sys, threading, time, warnings
from tintype.run.loading import load_with
from tintype.run.runtimes import Library, Runtimes

warnings.simplefilter("ignore")
fake, package, threads, seconds = sys.argv[1:]
libraries = {name: Library(pathlib.Path(fake), f"fake_{name}_api") for name in ("mlx", "coreml")}

def load(delay):
    time.sleep(delay)
    load_with(Runtimes(libraries, apple=True), package, "coreml", "all")

for index in range(int(threads)):
    threading.Thread(target=load, args=[index / 1000], daemon=True).start()
model = load_with(Runtimes(libraries, apple=True), package, "auto", "all", 0.05)
print(model.backend, flush=True)
time.sleep(float(seconds))
"""


@pytest.fixture
def package(tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    def make(name: str) -> pathlib.Path:
        path = tmp_path / f"{name}.mlpackage"
        path.mkdir(exist_ok=True)
        return path

    return make


def verdict_file(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}-{names.COMPUTE_UNITS['all']}.json")


def wait_for_loads() -> None:
    """Until no load is left behind."""
    for thread in threading.enumerate():
        if thread.name == "tintype-load":
            thread.join(60)
            assert not thread.is_alive()


def load_too_slowly(runtimes: Runtimes, path: pathlib.Path) -> Any:
    reason = "compiling and loading took longer than 0.05 s; it goes on in the background"
    with pytest.warns(FallbackWarning, match=rf"could not run {path.name} \({reason}\), so MLX runs it"):
        return load_with(runtimes, path, "auto", "all", 0.05)


def test_the_verdict_is_withdrawn_when_the_compile_ends_well(runtimes: Runtimes, package) -> None:
    path = package("slow-1000")
    model = load_too_slowly(runtimes, path)
    assert model.backend == "mlx"
    assert "took longer than 0.05 s" in verdict_file(path).read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_with(runtimes, path, "auto", "all").backend == "mlx"  # remembered, so not tried
        wait_for_loads()
        assert not verdict_file(path).exists()
        assert load_with(runtimes, path, "auto", "all").backend == "coreml"


def test_the_verdict_stays_when_the_compile_fails_late(runtimes: Runtimes, package) -> None:
    path = package("slow-load-5")
    load_too_slowly(runtimes, path)
    wait_for_loads()
    assert "took longer than 0.05 s" in verdict_file(path).read_text()
    assert load_with(runtimes, path, "auto", "all").backend == "mlx"


def test_a_compile_within_its_time_is_core_mls(runtimes: Runtimes, package) -> None:
    for time_box in (60, None, float("inf"), 1e10, 10**400):
        model = load_with(runtimes, package("slow"), "auto", "all", time_box)
        assert (model.backend, model.reason) == ("coreml", "auto: Core ML is available")


def test_a_named_backend_waits(runtimes: Runtimes, package) -> None:
    assert load_with(runtimes, package("slow"), "coreml", "all", 0.05).backend == "coreml"
    with pytest.raises(EngineError, match="status 5"):
        load_with(runtimes, package("slow-load-5"), "coreml", "all", 0.05)


@pytest.mark.parametrize("backend", ["auto", "coreml"])
def test_ctrl_c_ends_the_wait(runtimes: Runtimes, package, backend: str) -> None:
    path = package("slow-2000")
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while not any(thread.name == "tintype-load" for thread in threading.enumerate()):
            time.sleep(0.01)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            load_with(runtimes, path, backend, "all", None)
        assert any(thread.name == "tintype-load" for thread in threading.enumerate())  # still compiling
        assert not verdict_file(path).exists()
    finally:
        sender.join()
        signal.signal(signal.SIGINT, previous)
        wait_for_loads()


def end(fake: pathlib.Path, package: pathlib.Path, threads: int, seconds: float) -> Any:
    command = [sys.executable, "-c", ENDING, fake, package, threads, seconds]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)


def test_a_load_that_is_left_behind_keeps_no_process(fake_library: pathlib.Path, package) -> None:
    run = end(fake_library, package("slow-600000"), 0, 0)
    assert (run.returncode, run.stdout, run.stderr) == (0, "mlx\n", "")


@pytest.mark.parametrize("seconds", [0.26, 0.28, 0.3, 0.32])
def test_loads_may_end_while_the_process_ends(fake_library: pathlib.Path, package, seconds: float) -> None:
    run = end(fake_library, package("slow"), 200, seconds)
    assert (run.returncode, run.stdout, run.stderr) == (0, "mlx\n", "")


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "60", True])
def test_times_that_cannot_be(package, value: Any) -> None:
    with pytest.raises(UsageError, match=r"time_box is .*, expected a positive number of seconds, or None"):
        load_model(package("plain"), time_box=value)
