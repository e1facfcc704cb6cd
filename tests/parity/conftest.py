"""Fixtures of the parity tests: every bundle to compare, and the Swift command."""

import pathlib
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tintype.bundle import Bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: All five reference pipelines, and float16 where weights are (tests/tools/make_bundles.py converts the same).
BUNDLES = (
    "sd3-medium-tiny",
    "sd3-medium-tiny float16",
    "sd3.5-medium-tiny",
    "sd3.5-large-tiny",
    "flux-dev-tiny",
    "flux-schnell-tiny",
    "demo float16",
)


@pytest.fixture(scope="session", params=BUNDLES)
def bundle(request: pytest.FixtureRequest, make_bundle: Callable[..., Bundle]) -> pathlib.Path:
    """A bundle's folder."""
    return make_bundle(*request.param.split()).root


@pytest.fixture(autouse=True, scope="session")
def both_routes(swift_runtime: None) -> None:
    """An installation that was built without Swift has one route only, and nothing to compare it with."""


@pytest.fixture(scope="session")
def swift_cli() -> pathlib.Path:
    """The Swift `tintype`, built. The wheel has Swift's runtime, so there is a Swift that built it."""
    swift = shutil.which("swift")
    assert swift is not None, "the wheel was built with Swift, but `swift` is not on the PATH"
    build = [swift, "build", "--product", "tintype-cli"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    folder = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True)
    return pathlib.Path(folder.stdout.strip()) / "tintype-cli"
