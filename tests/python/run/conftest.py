"""The runtime without models (fake_runtime.c), compiled once a session."""

import ctypes
import os
import pathlib
import shlex
import subprocess
import sysconfig

import pytest

from tintype.run.runtimes import Library, Runtimes

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    library = tmp_path_factory.mktemp("fake") / "libfake_runtime.so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    headers = HERE.parents[2] / "bridge" / "c"
    flags = ["-std=c11", "-shared", "-fPIC", f"-I{headers}", "-o", str(library)]
    try:
        subprocess.run([*compiler, *flags, str(HERE / "fake_runtime.c")], check=True)
    except FileNotFoundError:
        subprocess.run(["cc", *flags, str(HERE / "fake_runtime.c")], check=True)
    return library


@pytest.fixture
def counters(fake_library: pathlib.Path) -> ctypes.CDLL:
    """The library's counters, by name: `counter(counters, "fake_live_results")`."""
    return ctypes.CDLL(str(fake_library))


@pytest.fixture
def runtimes(fake_library: pathlib.Path) -> Runtimes:
    """An Apple Core ML that fails as a model's path asks, and an MLX that runs everything."""
    return Runtimes(
        {
            "mlx": Library(fake_library, "fake_mlx_api"),
            "coreml": Library(fake_library, "fake_coreml_api"),
        },
        apple=True,
    )
