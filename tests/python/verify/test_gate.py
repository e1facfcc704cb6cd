"""The gate of a conversion: what is measured, what fails, what is said where nothing was measured."""

import errno
import os
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.emit import components
from tintype.emit.staging import SCRATCH
from tintype.errors import ConversionError
from tintype.verify import AccuracyGate, gate

MODEL = "sd3-medium-tiny"
WEIGHTS = Path("transformer", "diffusion_pytorch_model.safetensors")

#: A conversion that is measured in a second.
SMALL: dict[str, Any] = {"size": (64, 64), "components": ["denoiser"]}


def copied(data: Path, folder: Path) -> Path:
    """The checkpoint, to be changed."""
    return shutil.copytree(data / MODEL, folder, ignore=shutil.ignore_patterns("golden", "original"))


@pytest.fixture
def loud(data: Path, tmp_path: Path) -> Path:
    """A checkpoint whose MLPs pass float16's limit, and not float32's."""
    source = copied(data, tmp_path / "loud")
    tensors = load_file(source / WEIGHTS)
    factors = {"ff.net.0.proj.weight": 1e2, "ff.net.2.weight": 1e4}
    for key, value in tensors.items():
        factor = next((f for part, f in factors.items() if key.endswith(part)), 1.0)
        tensors[key] = value.astype(np.float32) * np.float32(factor)
    save_file(tensors, source / WEIGHTS)
    return source


def test_what_float16_cannot_hold_is_refused(
    loud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measuring: None
) -> None:
    output = tmp_path / "b"
    line = ["convert", str(loud), "-o", str(output), "--components", "denoiser", "--size", "64x64"]
    assert run_command(line) == 1
    error = capsys.readouterr().err
    assert "denoiser reaches 0.0 dB and cosine 0.00000 on mlx, expected at least 35 dB" in error
    assert "choose --precision float32, or accept it with --no-gate (in Python: gate=verify.Acc" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loud"]
    with pytest.raises(ConversionError, match=r"denoiser reaches 0\.0 dB"):
        tintype.convert(loud, output, **SMALL)
    with pytest.raises(ConversionError, match="choose --target gpu --precision float32"):
        tintype.convert(loud, output, target="ane", **SMALL)
    assert not output.exists()

    with warnings.catch_warnings():
        assert run_command([*line, "--no-gate"]) == 0
    assert "tintype: warning: denoiser reaches 0.0 dB" in capsys.readouterr().err
    assert Bundle.read(output).accuracy["passed"] is False
    assert tintype.convert(loud, output, overwrite=True, gate=None, **SMALL).accuracy == {}


def test_a_conversion_is_measured_and_the_same_twice(
    data: Path, tmp_path: Path, measuring: None, capsys: pytest.CaptureFixture[str]
) -> None:
    options: Any = {"size": [(64, 64), (96, 64)], "batch": 2, "target": "ane", "max_chunk": 400_000}
    first = tintype.convert(data / MODEL, tmp_path / "a", **options)
    second = tintype.convert(data / MODEL, tmp_path / "b", **options)
    row = first.accuracy["backends"]["mlx"]
    assert set(row["components"]) == set(names.COMPONENTS)
    assert row["run"]["image"]["psnr"] > 40
    assert first.accuracy["passed"] is True
    assert first.root is not None
    assert second.root is not None
    assert (first.root / names.BUNDLE_FILE).read_bytes() == (second.root / names.BUNDLE_FILE).read_bytes()


def test_float32_is_the_measure_itself(data: Path, tmp_path: Path, measuring: None) -> None:
    assert tintype.convert(data / MODEL, tmp_path / "a", precision="float32", **SMALL).accuracy == {}


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MOST_SECONDS", 1.0, r"it takes \d s or more, unasked is measured up to 1 s"),
        ("MOST_SECONDS", 1e-4, r"it takes 0 s or more, unasked is measured up to 0.0001 s"),
        ("MOST_SHARE", 0.0, r"the float32 model has \d+\.\d MB, more than half of the [\d.]+ GB of memory"),
    ],
)
def test_what_takes_too_much_is_left_to_verify(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measuring: None,
    limit: str,
    value: float,
    reason: str,
) -> None:
    monkeypatch.setattr(gate, limit, value)
    source, output = str(data / MODEL), str(tmp_path / "b")
    line = ["convert", source, "-o", output, "--components", "vae_decoder", "--size", "64x64"]
    assert run_command(line) == 0
    said = capsys.readouterr().out
    command = f"`tintype verify {output} --against {source}` measures it"
    assert re.search(reason, said)
    assert said.splitlines()[1].endswith(command)
    assert Bundle.read(Path(output)).accuracy == {}
    assert run_command([*line, "--overwrite", "--no-verify"]) == 0
    assert "accuracy" not in capsys.readouterr().out
    assert run_command([*line, "--overwrite", "--verify"]) == 0
    assert "accuracy" not in capsys.readouterr().out
    assert Bundle.read(Path(output)).accuracy["passed"] is True


def test_the_command_names_what_the_conversion_was_told(sd3_half: Bundle, data: Path) -> None:
    told = AccuracyGate(
        data / MODEL, "b", variant="fp16", tokenizers="some where", lora=["a.safetensors:0.5", ("c", 2)]
    )
    told(sd3_half)
    assert told.skipped.endswith(
        f"; `tintype verify b --against {data / MODEL} --variant fp16 --tokenizers 'some where' "
        "--lora a.safetensors:0.5 --lora c:2` measures it"
    )


@pytest.mark.parametrize("on_hub", ["source", "tokenizers"])
def test_nothing_is_downloaded_to_measure_a_part(
    sd3_half: Bundle, data: Path, measuring: None, on_hub: str
) -> None:
    part = {names.VAE_DECODER: sd3_half.component(names.VAE_DECODER)}
    places: dict[str, Any] = {"source": data / MODEL, on_hub: "someone/model"}
    asked = AccuracyGate(output="b", **places)
    asked(replace(sd3_half, components=part))
    assert "its inputs come from components that would have to be downloaded" in asked.skipped


def test_parts_whose_inputs_cannot_be_made_are_converted_unmeasured(
    data: Path, tmp_path: Path, measuring: None, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied(data, tmp_path / "source")
    (source / "text_encoder" / "model.safetensors").unlink()
    line = ["convert", str(source), "-o", str(tmp_path / "b"), "--components", "vae_decoder"]
    assert run_command(line) == 0
    said = capsys.readouterr().out
    assert "accuracy was not measured: its inputs come from components that the source lacks" in said
    assert run_command([*line, "--overwrite", "--verify"]) == 1
    assert "text_encoder" in capsys.readouterr().err


def test_convert_holds_compressed_bundles_to_the_bars(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measuring: None
) -> None:
    options: list[Any] = ["convert", data / MODEL, "-o", tmp_path / "b", "--quiet"]
    line = [str(o) for o in options]
    assert run_command([*line, "--quantize", "int8"]) == 0
    assert Bundle.read(tmp_path / "b").accuracy["passed"] is True
    before = (tmp_path / "b" / names.BUNDLE_FILE).read_bytes()

    line += ["--quantize", "denoiser=palette4", "--components", "denoiser", "--target", "ane", "--overwrite"]
    assert run_command(line) == 1
    assert "denoiser reaches 3" in capsys.readouterr().err
    assert (tmp_path / "b" / names.BUNDLE_FILE).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b"]

    with warnings.catch_warnings():
        assert run_command([*line, "--no-gate"]) == 0
    assert "tintype: warning: denoiser reaches 3" in capsys.readouterr().err
    bundle = Bundle.read(tmp_path / "b")
    assert bundle.accuracy["passed"] is False
    assert bundle.component(names.DENOISER).compression["recipe"] == "palette4"


def test_a_full_disk_is_the_reference_s(
    data: Path,
    tmp_path: Path,
    measuring: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = components.write_placed

    def full(program: Any, path: Path, progress: Any) -> Any:
        if SCRATCH in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(program, path, progress)

    monkeypatch.setattr(components, "write_placed", full)
    line = ["convert", str(data / MODEL), "-o", str(tmp_path / "b"), "--components", "vae_decoder"]
    remedy = ", or leave the measuring out with --no-verify (in Python: gate=None)"
    for options, measured in (([], True), (["--verify"], True), (["--quantize", "auto"], False)):
        assert run_command([*line, *options]) == 1
        error = capsys.readouterr().err
        assert f"against does not fit on the disk of {tmp_path}: free some space" in error
        assert (remedy in error) == measured
        assert list(tmp_path.iterdir()) == []
    assert run_command([*line, "--no-verify"]) == 0


def test_a_short_t5_makes_no_warning_of_the_gate_s_own_prompt(
    data: Path, tmp_path: Path, measuring: None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bundle = tintype.convert(data / MODEL, tmp_path / "b", max_sequence_length=4, size=(64, 64))
    assert bundle.accuracy["passed"] is True


def test_measuring_is_told(
    data: Path, tmp_path: Path, measuring: None, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[tuple[str, int, int]] = []
    options: Any = {
        "size": (64, 64),
        "components": ["vae_decoder"],
        "progress": lambda *row: heard.append(row),
    }
    tintype.convert(data / MODEL, tmp_path / "a", **options)
    # The reference, its run, the component.
    assert [row for row in heard if row[0] == "measuring"] == [("measuring", n, 3) for n in range(4)]
    capsys.readouterr()
    line = ["convert", str(data / MODEL), "-o", str(tmp_path / "b"), "--components", "vae_decoder"]
    line += ["--size", "64x64"]
    assert run_command(line) == 0
    assert capsys.readouterr().err.count("tintype: measuring the bundle against float32\n") == 1
    assert run_command([*line, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert run_command([*line, "--overwrite", "--no-verify"]) == 0
    assert "measuring" not in capsys.readouterr().err
