"""The forecast for the Neural Engine: Swift's and Python's reports agree, op by op."""

import json
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import tintype
from tintype.bundle import Bundle
from tintype.cli.app import run_command

#: Sums of thousands of terms; everything else is whole numbers and text.
CLOSE = 1e-12


def reports(
    path: pathlib.Path, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[str, str]:
    """What Swift and Python print."""
    line = ["inspect", "--neural-engine", str(path), *options]
    swift = subprocess.run([str(swift_cli), *line], capture_output=True, text=True, check=False)
    assert swift.returncode == 0, swift.stderr
    capsys.readouterr()
    assert run_command(line) == 0
    return swift.stdout, capsys.readouterr().out


def check(path: pathlib.Path, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    swift, python = (json.loads(text) for text in reports(path, swift_cli, capsys, "--json"))
    assert swift.keys() == python.keys()
    assert swift["packages"].keys() == python["packages"].keys()
    for name, ours in swift["packages"].items():
        theirs = python["packages"][name]
        for key in ("roofline", "clean_share"):
            assert ours.pop(key) == pytest.approx(theirs.pop(key), rel=CLOSE), name
        assert ours == theirs, name
    assert swift["packages"]
    return dict(swift)


def test_every_bundle(
    bundle: pathlib.Path, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(bundle, swift_cli, capsys)
    swift, python = reports(bundle, swift_cli, capsys)
    assert swift == python


@pytest.mark.parametrize("source", ["sd3-medium-tiny", "demo"])
def test_graphs_for_the_neural_engine(
    source: str,
    make_bundle: Callable[..., Bundle],
    swift_cli: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = make_bundle(source, "float16", 1, "ane").root
    report = check(root, swift_cli, capsys)
    for name in ("modulation", "denoiser"):
        assert report["packages"][name]["misses"] == []
    swift, python = reports(root, swift_cli, capsys, "--require", "100%")
    assert swift == python


def test_compressed_weights(
    data: pathlib.Path, tmp_path: pathlib.Path, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "small.bundle"
    tintype.convert(data / "sd3-medium-tiny", output, size=(128, 128), quantize="palette4")
    check(output, swift_cli, capsys)


def test_packages_of_the_tests(
    data: pathlib.Path, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        p for p in sorted((data / "packages").glob("*.mlpackage")) if p.stem not in ("damaged", "truncated")
    ]
    assert len(paths) > 15
    for path in paths:
        check(path, swift_cli, capsys)
