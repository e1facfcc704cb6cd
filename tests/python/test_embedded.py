"""The embedded model: converted once into the cache, by as many processes as like."""

import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import tintype
from tintype import embedded
from tintype.errors import BundleError, ConversionError


def test_it_is_converted_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, float]] = []
    bundle = embedded.embedded_bundle(tmp_path, progress=lambda *report: seen.append(report))
    assert bundle.name == embedded.EMBEDDED_NAME
    assert (bundle.defaults.steps, bundle.defaults.guidance_scale) == (12, 4.0)
    assert bundle.preview == "preview.safetensors"
    assert bundle.root is not None
    assert os.listdir(tmp_path) == [bundle.root.name]
    assert {what for what, _, _ in seen} >= {"text_encoder", "denoiser"}
    monkeypatch.setattr("tintype.emit.convert", None)  # a second conversion would fail
    assert embedded.embedded_bundle(tmp_path) == bundle


def test_two_processes_at_once(tmp_path: pathlib.Path) -> None:
    code = "from tintype.embedded import embedded_bundle; print(embedded_bundle().root)"
    environment = {**os.environ, "TINTYPE_CACHE": str(tmp_path)}

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor() as pool:
        roots = set(pool.map(start, range(3)))
    assert len(roots) == 1
    assert os.listdir(tmp_path) == [pathlib.Path(roots.pop().strip()).name]


def test_a_damaged_cache_is_made_again(tmp_path: pathlib.Path) -> None:
    root = embedded.embedded_bundle(tmp_path).root
    assert root is not None
    (root / "bundle.json").write_text("{")
    assert embedded.embedded_bundle(tmp_path).root == root


def test_an_unusable_cache_is_named(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConversionError, match=r"cannot be converted into .*file.*TINTYPE_CACHE"):
        embedded.embedded_bundle(file / "cache")


def test_a_package_without_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(embedded, "__file__", str(tmp_path / "embedded.py"))
    with pytest.raises(BundleError, match=r"the embedded model is missing .*reinstall tintype"):
        embedded.embedded_checkpoint()


def test_it_is_the_pipelines_default(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_CACHE", str(tmp_path))
    pipeline = tintype.Pipeline.load()
    assert pipeline.bundle.name == embedded.EMBEDDED_NAME
    result = pipeline.generate("a red circle above a blue square", steps=2, seed=1)
    assert result.image.size == (128, 128)
