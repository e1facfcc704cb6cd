"""Fixtures of the parity tests: every bundle to compare, and the Swift command."""

import pathlib
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tintype.bundle import Bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", params=["sd3-medium-tiny", "sd3-medium-tiny float16", "demo float16"])
def bundle(request: pytest.FixtureRequest, make_bundle: Callable[..., Bundle]) -> pathlib.Path:
    """A bundle's folder."""
    return make_bundle(*request.param.split()).root


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
