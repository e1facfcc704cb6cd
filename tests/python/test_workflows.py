"""The workflows of .github: they run elsewhere, so what can be said of them without running is said here. (`make check`
holds them to GitHub's schema.)"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
#: Actions by name and major version, all of which run on Node 24; what is not listed here was not thought about.
ACTIONS = {"actions/checkout@v7", "actions/setup-python@v7", "actions/upload-artifact@v7"}
#: The Swift of an image's Xcodes (the readmes of actions/runner-images; Apple's release notes).
XCODES = {"macos-26": {"26.4.1": "6.3", "26.5": "6.3", "26.6": "6.3"}}
RUNNERS = {"ubuntu-24.04", *XCODES}


def load(file: Path) -> dict[Any, Any]:
    value = yaml.safe_load(file.read_text())
    assert isinstance(value, dict)
    return value


def jobs() -> Iterator[tuple[str, dict[Any, Any], dict[str, Any]]]:
    """Every job: its name, its workflow, itself."""
    for file in WORKFLOWS:
        workflow = load(file)
        for name, job in workflow["jobs"].items():
            yield f"{file.stem}: {name}", workflow, job


def test_there_are_workflows_for_both_systems_and_for_mlx() -> None:
    assert {file.stem for file in WORKFLOWS} == {"linux", "macos", "mlx"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_can_start(file: Path) -> None:
    workflow = load(file)
    # YAML 1.1 reads the key "on" as true.
    assert set(workflow[True]) in ({"push", "pull_request"}, {"schedule", "workflow_dispatch"})
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["runs-on"] in RUNNERS, name
        assert 0 < job["timeout-minutes"] <= 120, f"{name}: a job without a limit may hang for six hours"
        for step in job["steps"]:
            assert step.get("uses") is None or step["uses"] in ACTIONS, f"{name}: {step}"


def test_nothing_from_outside_becomes_code() -> None:
    """GitHub puts a value into the script before the shell reads it; a variable it leaves to the shell."""
    for name, _, job in jobs():
        for step in job["steps"]:
            used = set(re.findall(r"\$\{\{\s*(\w+)", step.get("run", "")))
            assert used <= {"matrix"}, f"{name}: {step}"


def test_all_jobs_have_one_swift() -> None:
    """Formatters and compilers of two versions disagree about the same source."""
    versions = {}
    for name, workflow, job in jobs():
        if job["runs-on"] in XCODES:
            chosen = re.fullmatch(
                r"/Applications/Xcode_([\d.]+)\.app/Contents/Developer", workflow["env"]["DEVELOPER_DIR"]
            )
            assert chosen is not None, name
            versions[name] = XCODES[job["runs-on"]][chosen[1]]
        else:
            image = re.fullmatch(r"swift:(\d+\.\d+)-noble", job["container"])
            assert image is not None, name
            versions[name] = image[1]
    assert len(set(versions.values())) == 1, versions


def test_git_may_read_a_checkout_in_a_container() -> None:
    """test_swift_package.py asks git for files; in a container root is not the checkout's owner."""
    for name, _, job in jobs():
        steps = [step.get("run", step.get("uses", "")) for step in job["steps"]]
        tests = [place for place, step in enumerate(steps) if re.search(r"\.ci/run|make test", step)]
        if "container" not in job or not tests:
            continue
        trusting = steps.index('git config --global --add safe.directory "$GITHUB_WORKSPACE"')
        assert steps.index("actions/checkout@v7") < trusting < tests[0], name


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_what_the_steps_run_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            run = step.get("run", "")
            assert {*re.findall(r"(?:^|&& )make ([a-z-]+)", run, re.MULTILINE)} <= targets, run
            for script in re.findall(r"(?:^|\s)((?:scripts/|tools/|\.ci/)\S+)", run):
                assert (ROOT / script).is_file(), script
                assert "python3" in run or (ROOT / script).stat().st_mode & 0o100, (
                    f"{script} is not executable"
                )
