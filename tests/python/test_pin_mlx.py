"""tools/pin_mlx.py: another MLX in every place of pyproject.toml that names one, and nothing else changed."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/pin_mlx.py", tmp_path / "tools")
    return pathlib.Path(shutil.copy(ROOT / "pyproject.toml", tmp_path))


def pin(project: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = project.parent / "tools/pin_mlx.py"
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )


def test_every_pin_moves(project: pathlib.Path) -> None:
    before = project.read_text().splitlines()
    assert pin(project, "0.99.1").returncode == 0
    after = project.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    # Built with and run on, on Linux and on a Mac.
    assert len(changed) == 4
    assert all("==0.99.1; sys_platform" in new for _, new in changed)
    back = changed[0][0].split("==")[1].split(";")[0]
    assert pin(project, back).stdout == f"mlx {back}; pinned before: 0.99.1\n"
    assert project.read_text().splitlines() == before


@pytest.mark.parametrize("version", ["latest", "0.32;rm", ""])
def test_what_is_no_version_changes_nothing(project: pathlib.Path, version: str) -> None:
    before = project.read_text()
    run = pin(project, version)
    assert run.returncode == 1
    assert run.stderr.startswith(f"pin_mlx: '{version}' is no version; expected one such as")
    assert project.read_text() == before
