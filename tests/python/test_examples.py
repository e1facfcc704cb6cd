"""Runs every script of examples/python as a user would."""

import pathlib
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples/python"
PACKAGES = pathlib.Path(__file__).parents[1] / "data/packages"

#: script → its arguments, files it writes, a part of what it prints.
RUNS = {
    "compare_backends.py": ([], ["mlx.png"], "mlx: differs by at most 0/255"),
    "run_any_package.py": ([str(PACKAGES / "linear.mlpackage"), "mlx"], [], "float32"),
    "vary_a_picture.py": (
        ["a red circle"],
        ["first.png", "variation_1.png", "variation_2.png"],
        "variation_2.png a red circle",
    ),
    "watch_the_steps.py": (["a red circle", "2"], ["latents_01.npy", "latents_02.npy"], "step 2/12"),
}


def test_every_example_is_run() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == set(RUNS)


@pytest.mark.parametrize("script", RUNS)
def test_example(script: str, tmp_path: pathlib.Path) -> None:
    arguments, files, text = RUNS[script]
    command = [sys.executable, EXAMPLES / script, *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert text in run.stdout
    assert {file for file in files if not (tmp_path / file).is_file()} == set()
