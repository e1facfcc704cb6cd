"""Verification of bundles with several sizes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tintype
from tintype import names
from tintype.bundle import Bundle, Size
from tintype.cli.app import run_command
from tintype.errors import BundleError, UsageError
from tintype.verify import Agreement, check_functions, verify_backends

SIZES = [(64, 64), (96, 64), (64, 128)]


@pytest.fixture(scope="module")
def several(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    output = tmp_path_factory.mktemp("sizes") / "b"
    return tintype.convert(data / "sd3-medium-tiny", output, size=SIZES, max_chunk=300_000)


@pytest.fixture
def copy(several: Bundle, tmp_path: Path) -> Path:
    assert several.root is not None
    return Path(shutil.copytree(several.root, tmp_path / "b"))


def edited(bundle: Path, change: Callable[[Any], object]) -> Bundle:
    file = bundle / names.BUNDLE_FILE
    value = json.loads(file.read_text())
    change(value["components"])
    file.write_text(json.dumps(value))
    return Bundle.read(bundle)


def test_every_size_is_measured_on_both_backends(
    copy: Path, data: Path, capsys: pytest.CaptureFixture[str], swift_runtime: None
) -> None:
    line = ["verify", str(copy), "--against", str(data / "sd3-medium-tiny"), "--size", "all"]
    assert run_command([*line, "--backend", "mlx", "--backend", "coreml"]) == 0
    out = capsys.readouterr().out
    assert "denoiser at 64x128" in out
    assert "passed: components and picture on coreml" in out
    for row in Bundle.read(copy).accuracy["backends"].values():
        assert set(row["components"]) == set(names.COMPONENTS)
        assert list(row["sizes"]) == ["96x64", "64x128"]
        for size in row["sizes"].values():
            assert list(size["components"]) == ["denoiser", "vae_decoder", "vae_encoder"]
            assert min(value["psnr"] for value in size["components"].values()) > 45
            assert size["run"]["image"]["psnr"] > 40
        # Another size is another run.
        psnrs = [row["run"]["image"]["psnr"], *(s["run"]["image"]["psnr"] for s in row["sizes"].values())]
        assert len(set(psnrs)) == 3


def test_some_sizes_are_measured(several: Bundle, data: Path) -> None:
    (accuracy,) = verify_backends(several, data / "sd3-medium-tiny", ["mlx"], sizes=[(64, 64), (96, 64)])
    assert list(accuracy.sizes) == ["96x64"]
    components, run = accuracy.sizes["96x64"]
    bad = replace(accuracy, sizes={"96x64": ({**components, "denoiser": Agreement(20.0, 0.9)}, run)})
    assert bad.failures == ("denoiser at 96x64",)
    assert bad.complaint.startswith("denoiser at 96x64 reaches 20.0 dB and cosine 0.90000 on mlx, expected")
    assert bad.to_json()["passed"] is False
    bad = replace(accuracy, sizes={"96x64": (components, {**run, "image": Agreement(20.0, 0.9)})})
    assert bad.complaint.startswith("the picture at 96x64 reaches 20.0 dB")
    with pytest.raises(UsageError, match=r"size is \(1, 2\), but .* has 64x64, 96x64, 64x128: name one"):
        verify_backends(several, data / "sd3-medium-tiny", ["mlx"], sizes=[(1, 2)])


def test_functions_of_other_sizes_are_looked_at(copy: Path, data: Path, sd3_half: Bundle) -> None:
    bundle = Bundle.read(copy)
    check_functions(bundle)
    package = bundle.package_paths(names.VAE_DECODER)[0]
    shutil.rmtree(package)
    shutil.copytree(sd3_half.package_paths(names.VAE_DECODER)[0], package)
    with pytest.raises(
        BundleError, match=r"vae_decoder.mlpackage has no function size_64x64: convert the model"
    ):
        verify_backends(bundle, data / "sd3-medium-tiny", ["mlx"])


def test_shapes_of_another_size_are_found(copy: Path) -> None:
    def swap(rows: Any) -> None:
        functions = rows["vae_decoder"]["functions"]
        functions["size_96x64"], functions["size_64x128"] = functions["size_64x128"], functions["size_96x64"]

    with pytest.raises(
        BundleError, match=r"vae_decoder: latent of size_96x64 has the shape .*, expected 8 x 12"
    ):
        check_functions(edited(copy, swap))


def test_packages_that_bundle_json_does_not_describe(copy: Path) -> None:
    def rename(rows: Any) -> None:
        for row in rows["denoiser"]["chunks"][1]["functions"]["size_96x64"]["inputs"]:
            row["dtype"] = "float32"

    with pytest.raises(
        BundleError, match=r"denoiser: denoiser_chunk2.mlpackage has the inputs .* in size_96x64"
    ):
        check_functions(edited(copy, rename))


def test_a_size_needs_a_checkpoint(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["verify", str(copy), "--size", "all"]) == 2
    assert "--size is measured against a checkpoint" in capsys.readouterr().err
    assert run_command(["verify", str(copy), "--against", "x", "--size", "all", "--self-test"]) == 2
    assert run_command(["verify", str(copy), "--against", "x", "--size", "big"]) == 2
    assert "'big' is not WIDTHxHEIGHT in pixels" in capsys.readouterr().err
    assert Bundle.read(copy).sizes == tuple(Size(*size) for size in SIZES)
