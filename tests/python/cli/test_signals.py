"""Commands that a signal ends: what they wrote for themselves is gone, or goes with the next command."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tintype.bundle import Bundle
from tintype.cli.app import run_command

PROGRAM = """
import importlib, os, signal, sys
from tintype.cli.app import run_command
module, name, kind = sys.argv[1:4]
def stop(*arguments, **options): os.kill(os.getpid(), getattr(signal, kind))
setattr(importlib.import_module(module), name, stop)
sys.exit(run_command(sys.argv[4:]))
"""
#: Where a reference has been written, and is to be run.
MEASURING = ("tintype.verify.bundle", "record")


def ended(kind: str, place: tuple[str, str], command: list[str]) -> int:
    """The exit code of the command, which sends itself the signal instead of calling the function."""
    line = [sys.executable, "-c", PROGRAM, *place, kind, *command]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(line, env=environment, stderr=subprocess.DEVNULL).returncode


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def conversion(data: Path, output: Path) -> list[str]:
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(output), "--components", "vae_decoder"]
    return [*line, "--no-self-test", "--no-previews", "--quiet"]


def test_the_next_conversion_removes_what_a_killed_gate_left(data: Path, tmp_path: Path) -> None:
    line = conversion(data, tmp_path / "b")
    assert ended("SIGKILL", MEASURING, [*line, "--verify"]) == -signal.SIGKILL
    assert len(listed(tmp_path)) == 2
    assert run_command([*line, "--no-verify"]) == 0
    assert listed(tmp_path) == ["b"]


def test_the_next_verification_removes_what_a_killed_one_left(
    sd3_half: Bundle, data: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(sd3_half.root or "", tmp_path / "b")
    line = ["verify", str(bundle), "--against", str(data / "sd3-medium-tiny")]
    assert ended("SIGKILL", MEASURING, line) == -signal.SIGKILL
    assert len(listed(tmp_path)) == 2
    assert run_command(line) == 0
    assert listed(tmp_path) == ["b"]
