"""The recorded step in a bundle: what is written, and what it finds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.errors import BundleError, ConversionError, UsageError
from tintype.verify import record_self_test, run_self_test


@pytest.fixture
def copy(sd3_half: Bundle, tmp_path: Path) -> Bundle:
    """A copy of sd3-medium-tiny in float16."""
    assert sd3_half.root is not None
    return Bundle.read(shutil.copytree(sd3_half.root, tmp_path / "bundle"))


@pytest.mark.parametrize("source", ["sd3-medium-tiny", "flux-dev-tiny"])
def test_a_recorded_step_is_reproduced(
    make_bundle: Callable[..., Bundle], tmp_path: Path, source: str
) -> None:
    made = make_bundle(source, "float16")
    assert made.root is not None
    bundle = record_self_test(Bundle.read(shutil.copytree(made.root, tmp_path / "bundle")))
    assert bundle.root is not None
    assert Bundle.read(bundle.root) == bundle
    row = bundle.component(names.DENOISER).self_test
    assert row is not None
    assert (row.path, row.tolerance, row.function) == ("self_test/denoiser.safetensors", 0.05, None)
    tensors = load_file(bundle.root / row.path)
    assert {n: (v.dtype.name, v.shape) for n, v in tensors.items()} == {
        **{f"input.{s.name}": (s.dtype, s.shape) for s in bundle.component(names.DENOISER).inputs},
        **{f"expected.{s.name}": (s.dtype, s.shape) for s in bundle.component(names.DENOISER).outputs},
    }
    assert np.abs(tensors["input.modulation"]).max() > 0.1
    result = run_self_test(bundle)
    assert (result.error, result.backend, result.passed) == (0.0, "mlx", True)
    assert record_self_test(bundle).to_json() == bundle.to_json()
    again = load_file(bundle.root / row.path)
    assert all(np.array_equal(again[n], v) for n, v in tensors.items())


@pytest.mark.parametrize(("factor", "passes"), [(1.04, True), (1.1, False), (np.nan, False)])
def test_a_step_that_differs_is_found(copy: Bundle, factor: float, passes: bool) -> None:
    bundle = record_self_test(copy)
    assert bundle.root is not None
    file = bundle.root / "self_test/denoiser.safetensors"
    tensors = load_file(file)
    tensors["input.context"] = tensors["input.context"] + np.float16(0 if np.isfinite(factor) else factor)
    tensors["expected.velocity"] = tensors["expected.velocity"] * np.float16(
        factor if np.isfinite(factor) else 1
    )
    save_file(tensors, file)
    result = run_self_test(bundle)
    assert result.passed == passes
    assert result.to_json()["error"] is None or np.isfinite(factor)
    assert run_command(["verify", str(bundle.root), "--self-test"]) == (0 if passes else 1)


def test_damaged_recordings(copy: Bundle) -> None:
    with pytest.raises(BundleError, match="has no self-test: record one with verify --self-test"):
        run_self_test(copy)
    bundle = record_self_test(copy)
    assert bundle.root is not None
    file = bundle.root / "self_test/denoiser.safetensors"
    tensors = load_file(file)
    save_file({n: v for n, v in tensors.items() if n != "input.context"}, file)
    with pytest.raises(
        BundleError, match=r"input\.context is missing, expected float16 \[1, 154, 96\]: record"
    ):
        run_self_test(bundle)
    save_file(tensors | {"input.latent": tensors["input.latent"].astype(np.float32)}, file)
    with pytest.raises(BundleError, match=r"input\.latent is float32 \[1, 16, 16, 16\], expected float16"):
        run_self_test(bundle)
    file.write_bytes(b"short")
    with pytest.raises(BundleError, match=r"cannot be read .*record it again"):
        run_self_test(bundle)


def test_a_denoiser_alone_has_no_real_step(data: Path, tmp_path: Path) -> None:
    bundle = tintype.convert(data / "sd3-medium-tiny", tmp_path / "b", components=["denoiser"])
    with pytest.raises(UsageError, match="has no text_encoder, text_encoder_2, so no real step"):
        record_self_test(bundle)


def test_commands(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(data / "sd3-medium-tiny")

    def recorded(name: str, *options: str) -> Any:
        assert run_command(["convert", source, "-o", str(tmp_path / name), "--quiet", *options]) == 0
        return Bundle.read(tmp_path / name).component(names.DENOISER).self_test

    assert recorded("small") is not None
    assert recorded("asked", "--quantize", "denoiser=int8", "--self-test", "--verify") is not None
    assert Bundle.read(tmp_path / "asked").accuracy["passed"]
    assert recorded("not", "--no-self-test") is None
    assert recorded("part", "--components", "vae_decoder,denoiser") is None
    assert (
        run_command(["convert", source, "-o", str(tmp_path / "x"), "--components", "denoiser", "--self-test"])
        == 2
    )
    assert "no real step can be recorded" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert run_command(["verify", str(tmp_path / "not"), "--self-test", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["recorded"], value["error"], value["passed"]) == (True, 0.0, True)
    assert run_command(["verify", str(tmp_path / "not"), "--self-test"]) == 0
    assert capsys.readouterr().out.startswith(
        "self-test passed on mlx: error 0 of the largest value, at most 0.05"
    )


def test_several_backends_share_one_recording(
    sd3_half: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sd3_half.root is not None
    copy = shutil.copytree(sd3_half.root, tmp_path / "bundle")
    row = json.loads((copy / "bundle.json").read_text())
    assert all("self_test" not in component for component in row["components"].values())
    both = ["verify", str(copy), "--self-test", "--json", "--backend", "mlx", "--backend", "auto"]
    assert run_command(both) == 0
    rows = json.loads(capsys.readouterr().out)  # one document
    assert [row["recorded"] for row in rows] == [True, True]
    assert run_command(both) == 0
    assert [row["recorded"] for row in json.loads(capsys.readouterr().out)] == [False, False]


def test_a_step_that_overflows_is_not_recorded(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(data / "sd3-medium-tiny", source, ignore=shutil.ignore_patterns("golden", "original"))
    file = source / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["proj_out.weight"] *= 6e4 / np.abs(tensors["proj_out.weight"]).max()
    save_file(tensors, file)
    bundle = tintype.convert(
        source, tmp_path / "b", components=["text_encoder", "text_encoder_2", "denoiser"]
    )
    with pytest.raises(
        ConversionError, match=r"no self-test can be recorded, .* --no-self-test leaves the step"
    ):
        record_self_test(bundle)
    assert Bundle.read(tmp_path / "b").component("denoiser").self_test is None
