"""Options that the commands share."""

import pathlib
from typing import Any

import pytest

from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.pipeline import stages


@pytest.mark.parametrize(
    ("given", "seconds"), [([], 300.0), (["--time-box", "7.5"], 7.5), (["--time-box", "none"], None)]
)
def test_the_time_box_reaches_every_load(
    sd3: Bundle, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, given: list[str], seconds: Any
) -> None:
    seen = []
    load_model = stages.load_model

    def load(path: Any, backend: str, units: str, time_box: float | None) -> Any:
        seen.append(time_box)
        return load_model(path, backend, units, time_box)

    monkeypatch.setattr(stages, "load_model", load)
    options = ["--model", str(sd3.root), "--steps", "1", "-o", str(tmp_path / "a.png"), "--quiet"]
    assert run_command(["generate", "x", *options, *given]) == 0
    assert len(seen) == 6
    assert set(seen) == {seconds}


@pytest.mark.parametrize("value", ["0", "-3", "nan", "soon"])
def test_time_boxes_that_cannot_be(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["run", "x.mlpackage", "-o", "y.npz", "--time-box", value]) == 2
    assert f"'{value}' is no positive number of seconds, and not none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["convert", "x", "-o", "y", "--max-chunk"], ["generate", "x", "--memory-budget"]]
)
def test_byte_counts_beyond_a_float(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command, "9" * 400]) == 2
    assert f"'{'9' * 40}' is no number of bytes, such as 1GB" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["1024", "axb", "-1x8", "1x2x3", "9" * 5000 + "x16", "x"])
@pytest.mark.parametrize("command", [["generate", "x"], ["convert", "x", "-o", "y"], ["verify", "x"]])
def test_sizes_that_cannot_be(command: list[str], size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command, "--size", size]) == 2
    assert f"'{size[:40]}' is not WIDTHxHEIGHT in pixels" in capsys.readouterr().err
