"""Interrupted conversions: nothing half-made stays, and finished components are taken over."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tintype
from tintype import names

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
OPTIONS: dict[str, Any] = {"size": [(64, 64), (96, 64)], "max_chunk": 300_000, "gate": None}

API = """
import os, signal, sys, tintype
def stop(component, done, total):
    if component == "denoiser_chunk2": os.kill(os.getpid(), getattr(signal, sys.argv[3]))
signal.signal(signal.SIGINT, signal.default_int_handler)
tintype.convert(sys.argv[1], sys.argv[2], progress=stop, resume=sys.argv[4] == "resume", **OPTIONS)
"""
COMMAND = """
import contextlib, os, signal, sys
import tintype.cli.convert as command
from tintype.cli.app import run_command
def stop(component, done, total):
    if component == "vae_decoder": os.kill(os.getpid(), getattr(signal, sys.argv[3]))
signal.signal(signal.SIGINT, signal.default_int_handler)
command.progress_bar = lambda quiet: contextlib.nullcontext(stop)
resume = ["--resume"] if sys.argv[4] == "resume" else []
sys.exit(run_command(["convert", sys.argv[1], "-o", sys.argv[2], "--no-self-test", "--no-verify", *resume]))
"""


def interrupted(program: str, source: Path, output: Path, kind: str, resume: str) -> int:
    text = program.replace("**OPTIONS", f"**{OPTIONS!r}")
    command = [sys.executable, "-c", text, str(source), str(output), kind, resume]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def inodes(folder: Path) -> dict[str, int]:
    return {
        p.name: (p / WEIGHTS).stat().st_ino for p in folder.glob("*.mlpackage") if (p / WEIGHTS).is_file()
    }


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a conversion that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "b"
    tintype.convert(data / "sd3-medium-tiny", output, **OPTIONS)
    return output


@pytest.mark.parametrize(("kind", "resume"), [("SIGKILL", "no"), ("SIGKILL", "resume"), ("SIGINT", "resume")])
def test_finished_components_are_taken_over(
    data: Path, tmp_path: Path, whole: Path, kind: str, resume: str
) -> None:
    source, output = data / "sd3-medium-tiny", tmp_path / "b"
    assert interrupted(API, source, output, kind, resume) != 0
    (stage,) = tmp_path.iterdir()
    assert stage.name.startswith(".b.tintype-")
    before = inodes(stage)
    finished = ["text_encoder", "text_encoder_2", "text_encoder_3", "modulation"]
    assert {f"{name}.mlpackage" for name in finished} < set(before)
    heard: list[str] = []
    tintype.convert(source, output, resume=True, progress=lambda c, d, t: heard.append(c), **OPTIONS)
    assert not set(finished) & set(heard)
    assert "denoiser_chunk1" in heard
    after = inodes(output)
    assert all(after[f"{name}.mlpackage"] == before[f"{name}.mlpackage"] for name in finished)
    assert contents(output) == contents(whole)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_without_resuming_nothing_is_left(data: Path, tmp_path: Path, kind: str) -> None:
    assert interrupted(COMMAND, data / "sd3-medium-tiny", tmp_path / "b", kind, "no") == 130
    assert list(tmp_path.iterdir()) == []


def test_the_command_resumes(data: Path, tmp_path: Path) -> None:
    source, output = data / "sd3-medium-tiny", tmp_path / "b"
    assert interrupted(COMMAND, source, output, "SIGTERM", "resume") == 130
    (stage,) = tmp_path.iterdir()
    before = inodes(stage)
    heard: list[str] = []
    tintype.convert(source, output, resume=True, progress=lambda c, d, t: heard.append(c))
    assert list(dict.fromkeys(heard)) == ["vae_decoder", "vae_encoder"]
    assert inodes(output)["denoiser.mlpackage"] == before["denoiser.mlpackage"]


def left(source: Path, output: Path) -> Path:
    """What an interrupted conversion leaves."""

    def stop(component: str, done: int, total: int) -> None:
        if component == names.DENOISER:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tintype.convert(source, output, progress=stop, resume=True)
    (stage,) = output.parent.glob(f".{output.name}.tintype-*")
    return stage


def heard_again(source: Path, output: Path, **options: Any) -> set[str]:
    heard: set[str] = set()
    tintype.convert(source, output, progress=lambda c, d, t: heard.add(c), **options)
    assert [p.name for p in output.parent.iterdir()] == [output.name]
    return heard


def test_resumes_under_a_name_with_a_pattern_s_letters(data: Path, tmp_path: Path) -> None:
    source, output = data / "sd3-medium-tiny", tmp_path / "m[1]*.bundle"
    assert interrupted(API, source, output, "SIGKILL", "resume") != 0
    assert names.TEXT_ENCODER not in heard_again(source, output, resume=True, **OPTIONS)


def test_resumes_beside_the_source_s_files(source: Path) -> None:
    output = source / "m.bundle"
    stage = left(source, output)
    heard: set[str] = set()
    tintype.convert(source, output, resume=True, progress=lambda c, d, t: heard.add(c))
    assert names.TEXT_ENCODER not in heard
    assert not stage.exists()


def test_only_the_same_conversion_is_resumed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "b"
    left(source, output)
    assert names.TEXT_ENCODER in heard_again(source, output)  # not asked to
    for options in ({"quantize": "denoiser=int8"}, {"batch": 2}):
        shutil.rmtree(output)
        left(source, output)
        assert names.TEXT_ENCODER in heard_again(source, output, resume=True, **options)
    shutil.rmtree(output)
    left(source, output)
    os.utime(source / "vae" / "config.json", ns=(1, 1))
    assert names.TEXT_ENCODER in heard_again(source, output, resume=True)


def test_damaged_leftovers_are_made_again(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "b"
    stage = left(source, output)
    weights = stage / "text_encoder_2.mlpackage" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    (stage / "stray").write_text("x")
    assert heard_again(source, output, resume=True) == {
        "text_encoder_2", "denoiser", "vae_decoder", "vae_encoder"
    }  # fmt: skip
    assert not (output / "stray").exists()
    shutil.rmtree(output)
    stage = left(source, output)
    (stage / "progress.json").write_text("{")
    assert names.TEXT_ENCODER in heard_again(source, output, resume=True)
