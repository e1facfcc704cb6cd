"""What the commands print for people: the same words from both commands, whatever the numbers are."""

import pathlib
import re
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tintype.bundle import Bundle
from tintype.cli.app import run_command

PACKAGES = pathlib.Path(__file__).parents[1] / "data" / "packages"

Words = Callable[..., tuple[list[str], list[str]]]


def words(text: str) -> list[str]:
    """Without measured numbers, and without the columns' widths that come from them."""
    return re.sub(r"\d+\.\d+( [kMG]?B)?|\d+ B", "N", re.sub(r"  +", "  ", text)).splitlines()


@pytest.fixture
def both(swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Words:
    """Standard output and standard error of a command line, by Swift and by Python; both with the same exit code."""

    def run(*line: object) -> tuple[list[str], list[str]]:
        given = [str(word) for word in line]
        swift = subprocess.run([str(swift_cli), *given], capture_output=True, text=True, check=False)
        capsys.readouterr()
        code = run_command(given)
        python = capsys.readouterr()
        assert swift.returncode == code, swift.stderr + python.err
        return words(swift.stdout) + words(swift.stderr), words(python.out) + words(python.err)

    return run


@pytest.fixture(scope="session")
def demo(make_bundle: Callable[..., Bundle]) -> pathlib.Path:
    return make_bundle("demo", "float16").root


def drawing(bundle: pathlib.Path, folder: pathlib.Path) -> list[object]:
    options = ["--model", bundle, "--steps", 1, "--seed", 1, "--output", folder / "a.png"]
    return ["generate", "a circle", *options]


@pytest.mark.parametrize("options", [[], ["--count", "2"], ["--backend", "vae=mlx"], ["--quiet"]])
def test_generate(options: list[str], demo: pathlib.Path, tmp_path: pathlib.Path, both: Words) -> None:
    swift, python = both(*drawing(demo, tmp_path), *options)
    assert swift == python


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_statistics(backend: str, demo: pathlib.Path, tmp_path: pathlib.Path, both: Words) -> None:
    swift, python = both(*drawing(demo, tmp_path), "--stats", "--backend", backend)
    # What took longest comes first, which is not the same in each run.
    assert sorted(map(str.strip, swift[:8])) == sorted(map(str.strip, python[:8]))
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    line = ["run", PACKAGES / "linear.mlpackage", "--input", f"x={tmp_path / 'x.npy'}"]
    swift, python = both(*line, "--output", tmp_path / "y.npz", "--stats", "--backend", backend)
    assert sorted(swift) == sorted(python)


def test_warm(demo: pathlib.Path, both: Words) -> None:
    both("warm", demo, "--backend", "coreml")
    for line in (["warm", demo], ["warm", demo, "--backend", "coreml"]):
        swift, python = both(*line)
        assert swift == python


def test_backends(both: Words) -> None:
    swift, python = both("backends")
    assert swift == python


@pytest.mark.parametrize(
    ("package", "inputs"),
    [
        ("linear", {"x": np.arange(6.0).reshape(2, 3)}),
        ("linear", {"x": np.arange(6, dtype=">f8").reshape(2, 3)}),
        ("linear", {"x": np.arange(6, dtype=np.float16).reshape(2, 3)}),
        ("integer", {"ids": np.arange(5).reshape(1, 5)}),
        ("half", {"x": np.ones((2, 4))}),
        ("linear", {"x": np.ones((5, 3), np.float32)}),
        ("linear", {}),
        ("linear", {"y": np.ones((2, 3), np.float32)}),
        ("multi_output", {"x": np.ones((2, 3), np.float32)}),
        ("two_functions", {"x": np.ones((2, 3), np.float32)}),
        ("image_rgb", {"x": Image.new("RGB", (6, 4))}),
        ("image_sizes", {"x": Image.new("RGB", (6, 5))}),
        ("colors", {"x": Image.new("RGB", (6, 4), (200, 10, 10))}),
        ("texts", {"x": np.ones((2, 3), np.float32)}),
    ],
)
def test_run(package: str, inputs: dict[str, object], tmp_path: pathlib.Path, both: Words) -> None:
    line: list[object] = ["run", PACKAGES / f"{package}.mlpackage", "--output", tmp_path / "y.npz"]
    for name, value in inputs.items():
        file = tmp_path / (f"{name}.png" if isinstance(value, Image.Image) else f"{name}.npy")
        if isinstance(value, Image.Image):
            value.save(file)
        else:
            np.save(file, value)
        line += ["--input", f"{name}={file}"]
    for backend in ("mlx", "coreml"):
        both(*line, "--backend", backend)  # whoever comes first compiles, and says so
        swift, python = both(*line, "--backend", backend)
        assert swift == python


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_labels_are_texts(
    backend: str, swift_cli: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (6, 4), (200, 10, 10)).save(tmp_path / "x.png")
    line = [
        "run",
        str(PACKAGES / "colors.mlpackage"),
        "--input",
        f"x={tmp_path / 'x.png'}",
        "--backend",
        backend,
    ]
    subprocess.run([swift_cli, *line, "--output", tmp_path / "swift.npz"], capture_output=True, check=True)
    assert run_command([*line, "--output", str(tmp_path / "python.npz")]) == 0
    with np.load(tmp_path / "swift.npz") as swift, np.load(tmp_path / "python.npz") as python:
        assert sorted(swift) == sorted(python)
        assert swift["color"] == python["color"]
        assert swift["color"].dtype == python["color"].dtype
        for name in swift:
            np.testing.assert_array_equal(swift[name], python[name])


def test_an_archive_is_no_array(tmp_path: pathlib.Path, both: Words) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(2), b=np.zeros(2))
    line = ["run", PACKAGES / "linear.mlpackage", "--input", f"x={tmp_path / 'x.npz'}"]
    swift, python = both(*line, "--output", tmp_path / "y.npz")
    assert [text.removesuffix(" (see `tintype run --help`)") for text in swift] == python
