"""What the commands print with `--json`: the same keys and kinds of values from both commands, so that scripts read either."""

import json
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tintype.bundle import Bundle
from tintype.cli.app import run_command

PACKAGES = pathlib.Path(__file__).parents[1] / "data" / "packages"
Both = Callable[..., tuple[Any, Any]]


@pytest.fixture
def both(swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Both:
    """A command line's report by Swift, and by Python."""

    def run(*words: object) -> tuple[Any, Any]:
        line = [*map(str, words), "--json"]
        swift = subprocess.run([str(swift_cli), *line], capture_output=True, text=True, check=False)
        assert swift.returncode == 0, swift.stderr
        capsys.readouterr()
        assert run_command(line) == 0
        return json.loads(swift.stdout), json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def codes(swift_cli: pathlib.Path) -> Callable[[Sequence[str]], tuple[int, int]]:
    """Exit codes of Swift and of Python."""

    def run(line: Sequence[str]) -> tuple[int, int]:
        swift = subprocess.run([str(swift_cli), *line], capture_output=True, check=False)
        return swift.returncode, run_command(line)

    return run


def schema(value: Any) -> Any:
    """Keys, lists' elements, and of other values what they are; a whole number may be written either way."""
    if isinstance(value, dict):
        return {key: schema(each) for key, each in value.items()}
    if isinstance(value, list):
        return [schema(each) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__
    return "number"


@pytest.fixture(scope="session")
def demo(make_bundle: Callable[..., Bundle]) -> pathlib.Path:
    return make_bundle("demo", "float16").root


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
@pytest.mark.parametrize("options", [[], ["--stats"], ["--count", "2"]])
def test_generate(
    options: list[str], backend: str, demo: pathlib.Path, tmp_path: pathlib.Path, both: Both
) -> None:
    line = ["generate", "a red circle", "--model", demo, "--steps", 2, "--seed", 1, "--backend", backend]
    swift, python = both(*line, *options, "--output", tmp_path / "a.png")
    assert schema(swift) == schema(python)
    if not options:
        assert swift["output"] == python["output"] == str(tmp_path / "a.png")
        assert swift["settings"] == python["settings"]
        assert swift["stages"] == python["stages"]


def test_files_are_named_as_they_were_given(
    demo: pathlib.Path, tmp_path: pathlib.Path, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text('a circle\n{"prompt": "b", "seed": 1.0, "output": "sub/b.png"}\n')
    (tmp_path / "sub").mkdir()
    line = ["generate", "--prompt-file", "prompts.txt", "--model", demo, "--steps", 1, "--seed", 1]
    swift, python = both(*line, "--output", "out.png")
    assert [row["output"] for row in swift] == [row["output"] for row in python] == ["out-1.png", "sub/b.png"]
    assert schema(swift) == schema(python)


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_warm(backend: str, demo: pathlib.Path, both: Both) -> None:
    swift, python = both("warm", demo, "--backend", backend)
    for rows in (swift, python):
        for row in rows:
            # Whoever comes first compiles.
            row["compiled"] = row["compiled"] is None
            del row["seconds"]
    assert swift == python


def test_backends(both: Both) -> None:
    swift, python = both("backends")
    assert schema(swift) == schema(python)
    assert [row["details"]["device"] for row in swift] == [row["details"]["device"] for row in python]


def test_inspect(demo: pathlib.Path, tmp_path: pathlib.Path, both: Both) -> None:
    swift, python = both("inspect", demo)
    assert swift == python
    swift, python = both("inspect", next(demo.glob("*.mlpackage")))
    assert swift == python
    picture = tmp_path / "a.png"
    both("generate", "a", "--model", demo, "--steps", 1, "--seed", 1, "--output", picture)
    swift, python = both("inspect", picture)
    assert swift == python


@pytest.mark.parametrize("name", sorted(p.stem for p in PACKAGES.glob("*.mlpackage")))
def test_inspect_packages(
    name: str, both: Both, swift_cli: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flexible shapes, pictures, labels, states, and packages that are damaged."""
    path = PACKAGES / f"{name}.mlpackage"
    line = ["inspect", str(path)]
    swift = subprocess.run([swift_cli, *line], capture_output=True, text=True, check=False)
    capsys.readouterr()
    code = run_command(line)
    assert (swift.returncode, swift.stdout) == (code, capsys.readouterr().out)
    if code == 0:
        swift_json, python_json = both("inspect", path)
        assert swift_json == python_json


def test_inspect_folder(
    data: pathlib.Path,
    tmp_path: pathlib.Path,
    both: Both,
    swift_cli: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `--profile apple-sd3` writes, and any other folder of packages."""
    apple, loose = tmp_path / "apple", tmp_path / "loose"
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(apple), "--profile", "apple-sd3", "--quiet"]
    assert run_command([*line, "--precision", "float32", "--no-verify"]) == 0
    for name in ("linear.mlpackage", "colors.mlpackage"):
        shutil.copytree(PACKAGES / name, loose / name)
    (loose / "compiled.mlmodelc").mkdir()
    (loose / "compiled.mlmodelc" / "weights").write_bytes(b"1234")
    for path in (apple, loose):
        swift, python = both("inspect", path)
        assert swift == python
        words = subprocess.run([swift_cli, "inspect", path], capture_output=True, text=True, check=True)
        capsys.readouterr()
        assert run_command(["inspect", str(path)]) == 0
        assert words.stdout == capsys.readouterr().out
        swift, python = both("inspect", path, "--neural-engine")
        # tests/parity/test_neural_engine.py compares the numbers.
        assert schema(swift) == schema(python)


def test_inspect_in_words(
    make_bundle: Callable[..., Bundle],
    demo: pathlib.Path,
    swift_cli: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sd3 = make_bundle("sd3-medium-tiny", "float32").root
    for path in (demo, sd3, demo / "denoiser.mlpackage"):
        swift = subprocess.run([swift_cli, "inspect", path], capture_output=True, text=True, check=True)
        capsys.readouterr()
        assert run_command(["inspect", str(path)]) == 0
        assert swift.stdout == capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--stats"]])
@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_run(options: list[str], backend: str, tmp_path: pathlib.Path, both: Both) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    line = ["run", PACKAGES / "linear.mlpackage", "--input", f"x={tmp_path / 'x.npy'}", "--backend", backend]
    swift, python = both(*line, *options, "--output", tmp_path / "y.npz")
    assert schema(swift) == schema(python)
    if not options:
        assert swift == python


@pytest.mark.parametrize(
    "line",
    [
        ["inspect", "PLAIN"],
        ["generate", "--from", "PLAIN"],
        ["generate", "--prompt-file", "PLAIN"],
        ["inspect", "/nonexistent"],
        ["inspect", "/dev"],
        ["generate", "a", "--output", "/proc/a.png"],
        ["generate", "a", "--latents-out", "a.npy", "--noise-out", "a.npy"],
        ["generate", "a", "--memory-budget", "2 boxes"],
        ["generate", "a\udcff", "--steps", "1"],
        ["generate", "a", "--guidance-scale", "nan"],
        ["generate", "a", "--output="],
    ],
)
def test_exit_codes(
    line: list[str], tmp_path: pathlib.Path, codes: Callable[[Sequence[str]], tuple[int, int]]
) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (4, 4)).save(plain)
    swift, python = codes([str(plain) if word == "PLAIN" else word for word in line])
    assert swift == python
    assert swift in (1, 2)
