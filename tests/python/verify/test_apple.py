"""Folders for Apple's pipeline, measured as bundles are."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype import names
from tintype.apple_folder import AppleFolder
from tintype.cli.app import run_command
from tintype.emit.apple_sd3 import PACKAGES, export_apple_sd3
from tintype.errors import BundleError, ConversionError, UsageError
from tintype.verify import MIN_COSINE, MIN_PSNR, audit_ranges, verify_backends

DEMO_MODEL = Path(tintype.__file__).parent / "_demo_model"
MODEL = "sd3-medium-tiny"
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")

#: All that the folder holds, as its components are called in a bundle.
COMPONENTS = [c for c in names.COMPONENTS if c != names.MODULATION]


@pytest.fixture(scope="module")
def half(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sd3-medium-tiny in float16."""
    return export_apple_sd3(data / MODEL, tmp_path_factory.mktemp("apple") / "folder", size=(64, 64))


@pytest.fixture
def folder(half: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(half, tmp_path / "folder")


def accuracy_of(folder: Path) -> dict[str, Any]:
    return dict(AppleFolder.read(folder).accuracy)


def test_every_package_and_the_picture_are_measured(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["verify", str(folder)]) == 1
    assert "was never verified: name its checkpoint with --against" in capsys.readouterr().err
    line = ["verify", str(folder), "--against", str(data / MODEL), "--backend", "mlx", "--backend", "coreml"]
    assert run_command(line) == 0
    assert "passed: components and picture on coreml" in capsys.readouterr().out
    rows = accuracy_of(folder)["backends"]
    assert list(rows) == ["mlx", "coreml"]
    for row in rows.values():
        assert list(row["components"]) == COMPONENTS
        assert all(40 < value["psnr"] < 140 for value in [*row["components"].values(), row["run"]["image"]])
    assert sorted(p.name for p in folder.parent.iterdir()) == ["folder"]
    assert run_command(["verify", str(folder)]) == 0


def test_float32_packages_are_the_bundle_s_networks(data: Path, tmp_path: Path) -> None:
    """To the rounding of float32: the adapters inside the graph and the measure's agree."""
    place = export_apple_sd3(data / MODEL, tmp_path / "folder", precision="float32", size=(64, 64))
    accuracy = verify_backends(AppleFolder.read(place), data / MODEL)[0]
    assert min(value.psnr for value in [*accuracy.components.values(), *accuracy.run.values()]) > 100


def test_a_damaged_package_is_found(folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "MultiModalDiffusionTransformer.mlpackage" / WEIGHTS
    weights = np.memmap(file, np.uint8, "r+")
    begin = len(weights) // 2 // 64 * 64
    weights[begin + 2048 : begin + 6144] = 0
    weights.flush()
    assert run_command(["verify", str(folder), "--against", str(data / MODEL)]) == 1
    assert "FAILED: components and picture on mlx" in capsys.readouterr().out
    measured = accuracy_of(folder)["backends"]["mlx"]["components"]
    failed = [n for n, row in measured.items() if row["psnr"] < MIN_PSNR or row["cosine"] < MIN_COSINE]
    assert failed == [names.DENOISER]


def test_a_vocabulary_of_another_model_shows_in_the_picture(folder: Path, data: Path) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text())
    words = [word for word in vocabulary if word.endswith("</w>")]
    swapped = dict(zip(words, [vocabulary[word] for word in reversed(words)], strict=True))
    (folder / "vocab.json").write_text(json.dumps(vocabulary | swapped))
    accuracy = verify_backends(AppleFolder.read(folder), data / MODEL)[0]
    assert accuracy.failures == ("image",)


def test_part_of_the_folder_is_measured_without_a_picture(data: Path, tmp_path: Path) -> None:
    place = export_apple_sd3(data / MODEL, tmp_path / "folder", components=["denoiser"], size=(64, 64))
    accuracy = verify_backends(AppleFolder.read(place), data / MODEL)[0]
    assert list(accuracy.components) == [names.DENOISER]
    assert accuracy.failures == ()
    assert accuracy.run == {}


def test_what_does_not_belong_together(half: Path, data: Path) -> None:
    folder = AppleFolder.read(half)
    part = replace(folder, components={names.VAE_DECODER: folder.component(names.VAE_DECODER)})
    with pytest.raises(ConversionError, match="another checkpoint"):
        verify_backends(part, DEMO_MODEL)
    merged = replace(folder, source={"lora": [{"file": "a", "sha256": "0", "scale": 1.0}]})
    with pytest.raises(UsageError, match="was converted with --lora a:1, but"):
        verify_backends(merged, data / MODEL)


def test_ranges_and_tasks_of_bundles(half: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit_ranges(AppleFolder.read(half), data / MODEL)
    assert {row.component for row in found} == set(names.COMPONENTS)
    for task in ("--self-test", "--previews"):
        assert run_command(["verify", str(half), task]) == 1
        assert f"a folder for Apple's pipeline: {task} is of bundles" in capsys.readouterr().err


def test_packages_are_probed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--components", "vae_decoder", "--no-verify", "--probe", "--require-neural-engine", "1%")
    assert run_command(command(data, tmp_path / "a", *options)) == 0
    assert "1 of 1 packages ran" in capsys.readouterr().out
    probes = accuracy_of(tmp_path / "a")["probes"]
    assert probes["mlx"] == {"VAEDecoder.mlpackage": {"outcome": "ran"}}
    assert run_command(["verify", str(tmp_path / "a"), "--probe"]) == 0
    assert "VAEDecoder.mlpackage on mlx: ran" in capsys.readouterr().out


def test_damaged_descriptions(folder: Path) -> None:
    file = folder / names.PROFILE_FILE
    described = json.loads(file.read_text())
    for key, value, error in (
        ("profile", "apple-sd4", r"profile is 'apple-sd4', expected 'apple-sd3'"),
        ("format", "other", "format is 'other'"),
    ):
        file.write_text(json.dumps(described | {key: value}))
        with pytest.raises(BundleError, match=error):
            AppleFolder.read(folder)
    file.write_text(json.dumps(described))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(
        BundleError, match=r"tokenizers.tokenizer_3.path is 'tokenizer.json', but that file is m"
    ):
        AppleFolder.read(folder)


def command(data: Path, output: Path, *options: str) -> list[str]:
    source = str(data / MODEL)
    return ["convert", source, "-o", str(output), "--profile", "apple-sd3", "--size", "64x64", *options]


def test_the_gate_holds_the_folder_to_the_bars(
    data: Path, tmp_path: Path, measuring: None, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a"
    assert run_command(command(data, output, "--quantize", "int8")) == 0
    assert accuracy_of(output)["passed"] is True
    assert (output / "README.md").read_text().count("int8") == len(PACKAGES) - 2
    before = (output / names.PROFILE_FILE).read_bytes()
    assert run_command(command(data, output, "--quantize", "int8", "--overwrite")) == 0
    assert (output / names.PROFILE_FILE).read_bytes() == before

    worse = command(data, output, "--quantize", "denoiser=palette4", "--overwrite")
    assert run_command(worse) == 1
    assert re.search(r"error: denoiser reaches [23]\d\.\d dB", capsys.readouterr().err)
    assert (output / names.PROFILE_FILE).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    assert run_command([*worse, "--no-gate"]) == 0
    assert "warning: denoiser reaches " in capsys.readouterr().err
    assert accuracy_of(output)["passed"] is False
    assert run_command([*worse, "--no-verify"]) == 0
    assert accuracy_of(output) == {}


def test_what_takes_too_long_is_left_to_verify(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command(data, tmp_path / "a")) == 0
    said = capsys.readouterr().out
    assert f"`tintype verify {tmp_path / 'a'} --against {data / MODEL}` measures it" in said
    assert accuracy_of(tmp_path / "a") == {}


def test_auto_finds_the_smallest_recipes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a"
    assert run_command(command(data, output, "--quantize", "auto")) == 0
    said = capsys.readouterr().out
    folder = AppleFolder.read(output)
    assert folder.accuracy["passed"] is True
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    assert sorted(p.stem for p in output.glob("*.mlpackage")) == sorted(PACKAGES.values())
    for name, component in folder.components.items():
        chosen = component.compression["auto"][-1]
        assert chosen["psnr"] >= MIN_PSNR
        assert chosen["cosine"] >= MIN_COSINE
        assert f"{name}: {component.compression['recipe']} {chosen['psnr']:.1f} dB" in said
    recipes = {name: component.compression["recipe"] for name, component in folder.components.items()}
    assert recipes[names.VAE_DECODER] == "none"
    assert len(set(recipes.values())) > 1
    assert verify_backends(folder, data / MODEL)[0].failures == ()
