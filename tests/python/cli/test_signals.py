"""Commands that a signal ends: what they wrote for themselves is gone, or goes with the next command."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.cli.signals import ended_by_signals

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
PLANNING = ("tintype.emit.dry_run", "prepare")


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGHUP is heard, and by children too, also where the tests run under nohup, which has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def ended(kind: str, place: tuple[str, str], command: list[str], temporary: Path) -> int:
    """The exit code of the command, which sends itself the signal instead of calling the function."""
    line = [sys.executable, "-c", PROGRAM, *place, kind, *command]
    environment = {"PYTHONPATH": ":".join(sys.path), "TMPDIR": str(temporary)}
    return subprocess.run(line, env=environment, stderr=subprocess.DEVNULL).returncode


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def conversion(data: Path, output: Path) -> list[str]:
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(output), "--components", "vae_decoder"]
    return [*line, "--no-self-test", "--no-previews", "--quiet"]


@pytest.fixture
def verification(sd3_half: Bundle, data: Path, tmp_path: Path) -> list[str]:
    """The command for a bundle that lies in `tmp_path`."""
    bundle = shutil.copytree(sd3_half.root or "", tmp_path / "b")
    return ["verify", str(bundle), "--against", str(data / "sd3-medium-tiny")]


def test_the_next_conversion_removes_what_a_killed_gate_left(data: Path, tmp_path: Path) -> None:
    line = conversion(data, tmp_path / "b")
    assert ended("SIGKILL", MEASURING, [*line, "--verify"], tmp_path) == -signal.SIGKILL
    assert len(listed(tmp_path)) == 2
    assert run_command([*line, "--no-verify"]) == 0
    assert listed(tmp_path) == ["b"]


def test_the_next_verification_removes_what_a_killed_one_left(
    verification: list[str], tmp_path: Path
) -> None:
    assert ended("SIGKILL", MEASURING, verification, tmp_path) == -signal.SIGKILL
    assert len(listed(tmp_path)) == 2
    assert run_command(verification) == 0
    assert listed(tmp_path) == ["b"]


@pytest.mark.parametrize("kind", ["SIGTERM", "SIGHUP"])
def test_commands_clean_up(data: Path, verification: list[str], tmp_path: Path, kind: str) -> None:
    converting = conversion(data, tmp_path / "new")
    assert ended(kind, MEASURING, verification, tmp_path) == 130
    assert ended(kind, MEASURING, [*converting, "--verify"], tmp_path) == 130
    assert ended(kind, PLANNING, [*converting, "--dry-run"], tmp_path) == 130
    assert listed(tmp_path) == ["b"]


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_lets_the_clean_up_end(first: signal.Signals, second: signal.Signals) -> None:
    before = [signal.getsignal(number) for number in (first, second)]
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), first)
        finally:
            os.kill(os.getpid(), second)
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        work()
    assert cleaned
    assert [signal.getsignal(number) for number in (first, second)] == before


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_commands_run_on_threads_that_hear_no_signals(capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run_command(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]
    assert "tintype" in capsys.readouterr().out
