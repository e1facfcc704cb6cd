"""Probes: packages that run, that fail, that end the process and that never come back, each in a child."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.run import BackendInfo
from tintype.verify import Probe, bundle, failed_probes, probe, probe_backends, probe_package, record_probes

FAKE_CHILD = """
import json, pathlib, sys
from tintype.run.runtimes import Library, Runtimes
from tintype.verify.probe_child import run_once
libraries = {{name: Library(pathlib.Path({fake!r}), f"fake_{{name}}_api") for name in ("mlx", "coreml")}}
print(json.dumps({{"error": run_once(Runtimes(libraries, apple=True), *sys.argv[1:4])}}))
"""


def fake(library: Path, folder: Path, name: str, time_box: float = 60) -> Probe:
    """The probe of a package that the runtime without models treats as its name says."""
    package = folder / f"{name}.mlpackage"
    package.mkdir()
    return probe_package(package, "coreml", "all", time_box, child=FAKE_CHILD.format(fake=str(library)))


@pytest.mark.parametrize(
    ("name", "outcome", "detail"),
    [
        ("plain", "ran", ""),
        ("load-4", "error", "[fake] failed with status 4: as asked, 100% é"),
        ("predict-5", "error", "[fake] failed with status 5: as asked, 100% é"),
        ("abort", "aborted", "SIGABRT: [fake] mps.dequantize: failed to verify"),
    ],
)
def test_outcomes(fake_library: Path, tmp_path: Path, name: str, outcome: str, detail: str) -> None:
    found = fake(fake_library, tmp_path, name)
    assert (found.package, found.backend) == (f"{name}.mlpackage", "coreml")
    assert (found.outcome, found.detail, found.passed) == (outcome, detail, outcome == "ran")


def test_a_child_that_never_comes_back(fake_library: Path, tmp_path: Path) -> None:
    found = fake(fake_library, tmp_path, "slow-600000", time_box=0.5)
    assert found == Probe("slow-600000.mlpackage", "coreml", "overdue", "longer than 0.5 s")


@pytest.mark.parametrize(
    ("child", "detail"),
    [
        ("print('no answer')", "exit code 0"),
        ("import sys; sys.exit('out of words')", "exit code 1: out of words"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_a_child_that_does_not_answer(tmp_path: Path, child: str, detail: str) -> None:
    found = probe_package(tmp_path, "mlx", child=child)
    assert (found.outcome, found.detail) == ("aborted", detail)


def test_every_function_of_a_package_is_run(data: Path, tmp_path: Path) -> None:
    """By a package whose second size alone does not run: its weights end before that function's constants."""
    source = data / "sd3-medium-tiny"
    made = tintype.convert(source, tmp_path / "b", components=["vae_decoder"], size=[(64, 64), (96, 64)])
    package = made.package_paths(names.VAE_DECODER)[0]
    assert probe_package(package, "mlx").outcome == "ran"
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[:-5000])
    found = probe_package(package, "mlx")
    assert found.outcome == "error"
    assert "weight.bin" in found.detail


def test_rows_are_kept_by_backend(sd3_half: Bundle, tmp_path: Path) -> None:
    file = Path(sd3_half.root or "") / names.BUNDLE_FILE
    (tmp_path / "bundle.json").write_text(file.read_text())
    described = Bundle.from_json(json.loads(file.read_text()), root=tmp_path)
    first = record_probes(described, [Probe("a", "mlx", "ran"), Probe("a", "coreml", "error", "why")])
    second = record_probes(first, [Probe("b", "mlx", "aborted", "SIGABRT")])
    stored = json.loads((tmp_path / "bundle.json").read_text())["accuracy"]
    assert stored == second.accuracy
    assert stored["probes"] == {
        "mlx": {"b": {"outcome": "aborted", "detail": "SIGABRT"}},
        "coreml": {"a": {"outcome": "error", "detail": "why"}},
    }
    assert failed_probes(stored, "mlx") == ("b",)
    assert failed_probes(stored, "cpu") == ()


def test_convert_and_verify_probe_when_asked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], swift_runtime: None
) -> None:
    line = [
        "convert",
        str(data / "sd3-medium-tiny"),
        "-o",
        str(tmp_path / "b"),
        "--components",
        "vae_decoder",
    ]
    line.append("--no-verify")
    assert run_command(line) == 0
    assert "probes" not in Bundle.read(tmp_path / "b").accuracy
    capsys.readouterr()
    assert run_command([*line, "--overwrite", "--probe"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "probed on coreml: 1 of 1 packages ran",
        "probed on mlx: 1 of 1 packages ran",
    ]
    rows = {"vae_decoder.mlpackage": {"outcome": "ran"}}
    assert Bundle.read(tmp_path / "b").accuracy["probes"] == {"coreml": rows, "mlx": rows}

    assert run_command(["verify", str(tmp_path / "b"), "--probe"]) == 0
    assert capsys.readouterr().out == "vae_decoder.mlpackage on mlx: ran\n"
    (tmp_path / "b" / "vae_decoder.mlpackage" / "Manifest.json").unlink()
    assert run_command(["verify", str(tmp_path / "b"), "--probe", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["mlx"]["vae_decoder.mlpackage"]
    assert found["outcome"] == "error"
    assert "Manifest.json" in found["detail"]


def test_core_ml_is_not_asked_again_in_the_converter(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed probe is a warning and a row, and the gate measures MLX alone."""
    apples = BackendInfo(names.COREML, True, "", {"implementation": "apple"})
    monkeypatch.setattr(bundle, "backends", lambda: [apples])
    asked = []

    def aborting(package: Path, backend: str, units: str, *_: Any) -> Probe:
        asked.append((package.name, backend, units))
        return Probe(package.name, backend, "aborted", "SIGABRT")

    monkeypatch.setattr(probe, "probe_package", aborting)
    assert probe_backends() == (names.COREML,)
    line = [
        "convert",
        str(data / "sd3-medium-tiny"),
        "-o",
        str(tmp_path / "b"),
        "--components",
        "vae_decoder",
    ]
    with warnings.catch_warnings():
        assert run_command([*line, "--verify", "--quantize", "vae_decoder=int8", "--target", "ane"]) == 0
    out, err = capsys.readouterr()
    assert "tintype: warning: probe of vae_decoder.mlpackage on coreml: aborted (SIGABRT)" in err
    assert "probed on coreml: 0 of 1 packages ran" in out
    assert asked == [("vae_decoder.mlpackage", "coreml", "ane")]
    accuracy = Bundle.read(tmp_path / "b").accuracy
    assert accuracy["probes"] == {
        "coreml": {"vae_decoder.mlpackage": {"outcome": "aborted", "detail": "SIGABRT"}}
    }
    assert list(accuracy["backends"]) == ["mlx"]
    asked.clear()
    assert run_command([*line, "--overwrite", "--quiet", "--no-probe"]) == 0
    assert asked == []
