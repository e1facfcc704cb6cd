"""The plan of a conversion: exact sizes, and nothing written."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import tintype
from tintype import names
from tintype.cli.app import run_command
from tintype.compress import candidates
from tintype.emit import dry_run
from tintype.errors import CheckpointError, UsageError

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("sd3-medium-tiny", {}),
    ("sd3-medium-tiny", {"quantize": "palette4", "components": ["denoiser", "vae_decoder"], "batch": 2}),
    ("flux-dev-tiny", {"size": [(64, 64), (96, 64)], "max_chunk": 400_000, "precision": "float32"}),
    ("sd3.5-medium-tiny", {"target": "ane", "quantize": "denoiser=int8"}),
]


def files_under(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize(("source", "options"), OPTIONS)
def test_sizes_are_those_that_a_conversion_writes(
    data: Path, tmp_path: Path, source: str, options: dict[str, Any]
) -> None:
    plan = tintype.plan_conversion(data / source, tmp_path / "out", **options)
    assert files_under(tmp_path) == set()
    bundle = tintype.convert(data / source, tmp_path / "out", **options)
    written = {
        path.name.removesuffix(".mlpackage"): sum(
            (path / "Data/com.apple.CoreML" / file).stat().st_size
            for file in ("model.mlmodel", "weights/weight.bin")
        )
        for name in bundle.components
        for path in bundle.package_paths(name)
    }
    assert {row.package: row.package_bytes for row in plan.packages} == written
    parameters = {name: c.parameters for name, c in bundle.components.items()}
    for name, count in parameters.items():
        assert sum(row.parameters for row in plan.packages if row.component == name) == count
    assert plan.sizes == bundle.sizes
    denoiser = [row for row in plan.packages if row.component == names.DENOISER]
    assert len(denoiser) == len(bundle.component(names.DENOISER).parts)
    assert plan.bundle_bytes == sum(written.values())
    assert plan.fits
    assert plan.source_bytes > 0
    assert plan.disk_free is not None


@pytest.mark.parametrize("profile", ["native", "apple-sd3"])
def test_auto_lies_between_its_smallest_candidates_and_none(data: Path, tmp_path: Path, profile: str) -> None:
    source, wanted = data / "sd3-medium-tiny", ["text_encoder", "denoiser", "vae_decoder"]
    plan = tintype.plan_conversion(
        source, tmp_path, profile=profile, components=wanted, quantize="auto", overwrite=True
    )
    plain = tintype.plan_conversion(source, profile=profile, components=wanted)
    assert [row.package_bytes for row in plan.packages] == [row.package_bytes for row in plain.packages]
    recipes = {row.component: next(iter(candidates("gpu", row.component)), None) for row in plan.packages}
    named = ",".join(f"{name}={recipe}" for name, recipe in recipes.items() if recipe is not None)
    smallest = tintype.plan_conversion(source, profile=profile, components=wanted, quantize=named)
    assert [row.smallest_bytes for row in plan.packages] == [row.package_bytes for row in smallest.packages]
    assert {row.recipe for row in plan.packages} == {"auto"}
    assert plan.smallest_bytes < plan.bundle_bytes < plan.disk_needed  # float32 lies beside it meanwhile


def test_what_lies_in_the_way(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = str(data / "sd3-medium-tiny"), tmp_path / "out"
    output.mkdir()
    line = ["convert", source, "-o", str(output), "--components", "vae_decoder", "--dry-run"]
    assert run_command(line) == 0
    (output / names.BUNDLE_FILE).touch()
    capsys.readouterr()
    refusal = f"{output} exists: choose another output, or allow it to be overwritten (--overwrite)"
    assert run_command(line) == 1
    assert f"convert would refuse: {refusal}" in capsys.readouterr().out
    assert run_command([*line, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["obstacle"] == refusal
    assert run_command([*line, "--overwrite"]) == 0
    assert run_command([*line, "--overwrite", "--profile", "apple-sd3"]) == 1
    assert "has no profile.json of Tintype's, so it is not overwritten" in capsys.readouterr().out
    assert run_command(["convert", source, "-o", f"{output}/bundle.json/b", "--dry-run"]) == 1
    assert "bundle.json is not a folder): choose another output folder" in capsys.readouterr().out
    if sys.platform == "linux":  # /proc says that root may write there
        for place in ("/proc", "/proc/self/deep"):
            assert run_command(["convert", source, "-o", f"{place}/out", "--dry-run"]) == 1
            refusal = f"convert would refuse: cannot write to {place} (No such file or directory): choose"
            assert refusal in capsys.readouterr().out
    line[3] = str(tmp_path / ("x" * 300))
    assert run_command(line) == 1
    assert "(File name too long): choose another output folder" in capsys.readouterr().out
    assert run_command(line[:-1]) == 1
    assert "(File name too long): choose another output folder" in capsys.readouterr().err


def test_a_disk_without_room(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dry_run, "_free", lambda output: 1000)
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(tmp_path / "b"), "--dry-run"]
    assert run_command(line) == 1
    assert "1.0 kB free: NOT ENOUGH" in capsys.readouterr().out


def test_what_cannot_be(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch is 2, but models of the family flux"):
        tintype.plan_conversion(data / "flux-dev-tiny", batch=2)
    with pytest.raises(CheckpointError, match="does not exist"):
        tintype.plan_conversion(tmp_path / "nothing")


def test_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    command = ["convert", str(data / "sd3-medium-tiny"), "-o", str(out), "--size", "64x64", "--size", "96x64"]
    assert run_command([*command, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "size_64x64, size_96x64" in text
    assert "sd3, target gpu, 64x64, 96x64" in text
    assert "needed" in text
    assert run_command([*command, "--dry-run", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [row["component"] for row in value["packages"]] == list(names.COMPONENTS)
    assert value["sizes"] == [{"width": 64, "height": 64}, {"width": 96, "height": 64}]
    assert value["fits"]
    assert run_command([*command, "--json"]) == 2
    assert "--json prints the plan of --dry-run" in capsys.readouterr().err
    assert files_under(tmp_path) == set()
