"""The workflows of .github: they run elsewhere, so what can be said of them without running is said here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
#: Actions by name and major version; what is not listed here was not thought about.
ACTIONS = {"actions/checkout@v4", "actions/setup-python@v5", "actions/upload-artifact@v4"}
RUNNERS = {"macos-15", "ubuntu-24.04"}


def load(file: Path) -> dict[Any, Any]:
    value = yaml.safe_load(file.read_text())
    assert isinstance(value, dict)
    return value


def test_there_are_workflows_for_both_systems() -> None:
    assert {file.stem for file in WORKFLOWS} >= {"linux", "macos"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_can_start(file: Path) -> None:
    workflow = load(file)
    # YAML 1.1 reads the key "on" as true.
    assert set(workflow[True]) >= {"push", "pull_request"}
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["runs-on"] in RUNNERS, name
        assert 0 < job["timeout-minutes"] <= 120, f"{name}: a job without a limit may hang for six hours"
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), f"{name}: {step}"
            assert step.get("uses") is None or step["uses"] in ACTIONS, f"{name}: {step}"
            assert set(step) <= {"name", "uses", "run", "with", "env", "if", "shell"}, f"{name}: {step}"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_what_the_steps_run_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            run = step.get("run", "")
            assert {*re.findall(r"(?:^|&& )make ([a-z-]+)", run, re.MULTILINE)} <= targets, run
            for script in re.findall(r"(?:^|\s)((?:scripts/|\.ci/)\S+)", run):
                assert (ROOT / script).is_file(), script
                assert (ROOT / script).stat().st_mode & 0o100, f"{script} is not executable"
