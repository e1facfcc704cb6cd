"""`tintype bench PATH`: a bundle's stages and a package's predictions on the backends that run here."""

import json
from pathlib import Path

import pytest

from tintype.bench.paths import PARTS, bench_bundle, bench_package
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.errors import UsageError
from tintype.run import backends

RUNNING = [b.name for b in backends() if b.available]


def test_a_bundles_parts_on_every_backend(sd3: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["bench", str(sd3.root), "--steps", "2", "--repeat", "1", "--quiet"]
    assert run_command([*line, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["seconds"]) == RUNNING
    for parts in report["seconds"].values():
        assert tuple(parts) == PARTS
        assert min(parts.values()) > 0
    assert (report["size"], report["steps"], report["pictures"]) == ("128x128", 2, 1)
    assert sorted([*report["unavailable"], *RUNNING]) == ["coreml", "mlx"]
    for part, ratio in report["ratios"].items():
        assert ratio == report["seconds"]["coreml"][part] / report["seconds"]["mlx"][part]
    assert run_command([*line, "--backend", "mlx"]) == 0
    text = capsys.readouterr().out
    assert "2 steps, 1 pictures a backend" in text
    assert "| ms | mlx |\n" in text
    assert all(f"| {part} | " in text for part in PARTS)


def test_the_first_picture_fills_the_caches(sd3: Bundle) -> None:
    told: list[tuple[str, int, int]] = []
    report = bench_bundle(sd3, "mlx", "all", None, 1, 2, lambda *row: told.append(row))
    assert told == [("mlx", n, 3) for n in range(3)]
    assert report.ratios == report.unavailable == {}
    with pytest.raises(UsageError, match="width is 1, expected a multiple of 16"):
        bench_bundle(sd3, "mlx", "all", (1, 2), 1, 1)


@pytest.mark.parametrize("name", ["add", "stateful", "image_rgb", "ranges", "two_functions"])
def test_a_packages_predictions(data: Path, name: str) -> None:
    report = bench_package(data / f"packages/{name}.mlpackage", "mlx", "all", 45)
    assert report.predictions == 44  # blocks of two
    assert list(report.microseconds) == ["mlx"]
    assert report.microseconds["mlx"] > 0
    assert f"{name}.mlpackage: 44 predictions a backend" in report.text()


def test_a_package_on_every_backend(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["bench", str(data / "packages/add.mlpackage"), "--repeat", "20", "--json"]
    assert run_command(line) == 0
    assert list(json.loads(capsys.readouterr().out)["microseconds"]) == RUNNING
