"""Fixtures of the parity tests: bundles converted once a run, and the Swift command."""

import pathlib
import shutil
import subprocess

import pytest

import tintype
from tintype.embedded import embedded_checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[2]
SD3 = ROOT / "tests/data/sd3-medium-tiny"
SOURCES = {
    "sd3-float32": (SD3, "float32"),
    "sd3-float16": (SD3, "float16"),
    "demo-float16": (embedded_checkpoint(), "float16"),
}


@pytest.fixture(scope="session", params=sorted(SOURCES))
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    source, precision = SOURCES[request.param]
    folder = tmp_path_factory.mktemp("bundles") / request.param
    tintype.convert(source, folder, precision=precision)
    return folder


@pytest.fixture(scope="session")
def swift_cli() -> pathlib.Path:
    """The Swift `tintype`, built. Where there is no Swift there is no such command to compare with."""
    swift = shutil.which("swift")
    if swift is None:
        pytest.skip("no Swift on this machine: there is no Swift command line to compare with")
    build = [swift, "build", "--product", "tintype"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    folder = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True)
    return pathlib.Path(folder.stdout.strip()) / "tintype"
