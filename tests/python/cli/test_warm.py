"""`tintype warm`, on both backends."""

import json
import pathlib
import shutil
from typing import Any

import pytest

import tintype
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.pipeline import stages
from tintype.run import Model, loading
from tintype.run.runtimes import INSTALLED, Runtimes


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """Where this test's compiled models are kept."""
    runtimes = Runtimes(INSTALLED.libraries, cache_folder=tmp_path / "cache")
    monkeypatch.setattr(stages, "INSTALLED", runtimes)
    monkeypatch.setattr(loading, "INSTALLED", runtimes)
    return tmp_path / "cache"


def test_core_ml_compiles_once(
    sd3_half: Bundle,
    private_cache: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    swift_runtime: None,
) -> None:
    mixed = ["warm", str(sd3_half.root), "--backend", "denoiser=coreml,vae=mlx", "--units", "denoiser=cpu"]
    rows, told = [], []
    for _ in range(2):
        assert run_command([*mixed, "--json"]) == 0
        captured = capsys.readouterr()
        rows.append(json.loads(captured.out))
        told.append(captured.err.splitlines())
    first, second = rows
    what = "for Core ML (first run; minutes for a large model)"
    assert told == [[f"tintype: compiling {name} {what}" for name in ("modulation", "denoiser")], []]
    assert [row["component"] for row in first] == list(sd3_half.components)
    assert {row["component"]: row["backend"] for row in first if row["compiled"]} == {
        "modulation": "coreml",
        "denoiser": "coreml",
    }
    assert len(list(private_cache.glob("denoiser-*.mlmodelc"))) == 1
    assert {row["component"]: row["compiled"] for row in second} == {
        name: False if name in ("modulation", "denoiser") else None for name in sd3_half.components
    }
    assert all(row["seconds"] > 0 and row["reason"] for row in first)

    shutil.rmtree(private_cache)
    assert run_command([*mixed, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run_command(mixed) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["component", "seconds", "Core", "ML", "backend"]
    found = {line.split()[0]: line.split(maxsplit=2)[2] for line in lines[1:]}
    assert found["denoiser"].split("  ") == ["was compiled", "coreml (asked for)"]
    assert found["vae_decoder"].split()[:2] == ["-", "mlx"]


def test_another_size_is_run_once_on_core_ml(
    data: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    swift_runtime: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tintype.convert(
        data / "sd3-medium-tiny", tmp_path / "b", size=[(64, 64), (96, 64)], target="ane", max_chunk=400_000
    )  # fmt: skip
    ran: list[tuple[str, str, str | None]] = []
    predict = Model.predict

    def told(model: Model, inputs: Any, function: str | None = None, **options: Any) -> Any:
        ran.append((pathlib.Path(model.path).stem, model.backend, function))
        return predict(model, inputs, function, **options)

    monkeypatch.setattr(Model, "predict", told)
    chunks = [path.stem for path in bundle.package_paths("denoiser")]
    line = ["warm", str(bundle.root), "--backend", "denoiser=coreml,vae=mlx,text_encoder=mlx", "--json"]
    assert run_command([*line, "--size", "64x64"]) == 0
    assert ran == []
    assert run_command([*line, "--size", "96x64"]) == 0
    assert ran == [(chunk, "coreml", "size_96x64") for chunk in chunks]
    assert len(chunks) > 1
    assert run_command([*line, "--size", "128x64"]) == 2
    assert "was converted for 64x64, 96x64" in capsys.readouterr().err


def test_a_missing_bundle(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["warm", str(tmp_path / "no")]) == 1
    assert "there is no bundle at" in capsys.readouterr().err
