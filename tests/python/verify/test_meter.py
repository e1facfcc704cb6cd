"""`--quantize auto`: the smallest recipe of every component that keeps the bars."""

import gc
import shutil
from pathlib import Path
from typing import Any

import pytest

import tintype
from tintype import emit, names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.compress import candidates
from tintype.errors import UsageError
from tintype.verify import MIN_COSINE, MIN_PSNR, Meter, verify_backends


def passes(row: dict[str, Any]) -> bool:
    return bool(row["psnr"] >= MIN_PSNR and row["cosine"] >= MIN_COSINE)


@pytest.mark.parametrize("target", ["gpu", "ane"])
def test_the_smallest_recipe_that_keeps_the_bars(data: Path, tmp_path: Path, target: Any) -> None:
    source = data / "sd3-medium-tiny"
    wanted = ["text_encoder", "denoiser", "vae_decoder"]
    options: dict[str, Any] = {"quantize": "auto", "components": wanted, "target": target}
    with Meter(source, components=wanted) as meter:
        bundle = tintype.convert(source, tmp_path / "b", measure=meter, **options)
        assert meter.picture(bundle, tuple(bundle.components)).passes
        accuracy = meter.accuracy(bundle)
        again = tintype.convert(source, tmp_path / "again", measure=meter, **options)
        assert len(list(tmp_path.iterdir())) == 3
    assert again.to_text() == bundle.to_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "b"]
    for name, component in bundle.components.items():
        *failed, chosen = component.compression["auto"]
        assert not any(passes(row) and passes(row.get("picture", row)) for row in failed)
        assert passes(chosen)
        assert component.compression["recipe"] == chosen["recipe"]
        order = (*candidates(target, name), "none")
        assert [row["recipe"] for row in (*failed, chosen)] == list(order[: len(failed) + 1])
    assert bundle.component(names.VAE_DECODER).compression["recipe"] == "none"
    recipes = {component.compression["recipe"] for component in bundle.components.values()}
    assert len(recipes) > 1
    assert verify_backends(bundle, source)[0].components == accuracy.components


def test_the_picture_is_held_to_the_bars_too(data: Path, tmp_path: Path) -> None:
    """All components of sd3-medium-tiny pass with recipes that together draw a picture below 35 dB."""
    source = data / "sd3-medium-tiny"
    heard: list[tuple[str, int, int]] = []
    with Meter(source, progress=lambda *row: heard.append(row)) as meter:
        bundle = tintype.convert(source, tmp_path / "b", quantize="auto", measure=meter)
        told = list(heard)
        accuracy = meter.accuracy(bundle)
    assert told[:4] == [*(("measuring", n, 2) for n in range(3)), ("measuring", 0, 1)]
    # The last is the gate: every component, and the picture.
    last = len(bundle.components) + 1
    assert heard[len(told) :] == [("measuring", n, last) for n in range(last + 1)]
    given_up = {
        name: [row for row in component.compression["auto"] if "picture" in row]
        for name, component in bundle.components.items()
    }
    rows = [row for rows in given_up.values() for row in rows]
    assert rows
    assert all(passes(row) and not passes(row["picture"]) for row in rows)
    assert accuracy.complaint == ""
    assert any(component.compression["recipe"] != "none" for component in bundle.components.values())
    for component in bundle.components.values():
        folder = tmp_path / "b" / component.path / "Data"
        size = sum(p.stat().st_size for p in folder.rglob("weight.bin"))
        assert size == component.weight_bytes


def test_the_command_says_what_it_tried(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(tmp_path / "b"), "--quantize", "auto"]
    assert run_command([*line, "--components", "text_encoder,vae_decoder"]) == 0
    bundle = Bundle.read(tmp_path / "b")
    row = bundle.component(names.TEXT_ENCODER).compression
    out = capsys.readouterr().out
    assert f"text_encoder: {row['recipe']} {row['auto'][-1]['psnr']:.1f} dB" in out
    assert "vae_decoder: none " in out
    assert bundle.accuracy["passed"] is True
    assert run_command([*line, "--dry-run", "--overwrite"]) == 0
    out = capsys.readouterr().out
    assert "not included: measuring each recipe that auto tries" in out
    assert " kB to " in out


def test_python_measures_by_itself(data: Path, tmp_path: Path) -> None:
    source, wanted = data / "sd3-medium-tiny", ["text_encoder", "vae_decoder"]
    with Meter(source, components=wanted) as meter:
        expected = tintype.convert(source, tmp_path / "a", quantize="auto", components=wanted, measure=meter)
    found = tintype.convert(source, tmp_path / "b", quantize="auto", components=wanted)
    assert found.to_text() == expected.to_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    with pytest.raises(UsageError, match="auto has to measure: give convert a measure"):
        emit.convert(source, tmp_path / "c", quantize="auto")


def test_a_meter_that_nobody_closes_leaves_nothing(sd3_half: Bundle, data: Path, tmp_path: Path) -> None:
    bundle = Bundle.read(shutil.copytree(sd3_half.root or "", tmp_path / "b"))
    meter = Meter(data / "sd3-medium-tiny", components=["vae_decoder"])
    assert meter(bundle, names.VAE_DECODER).passes
    assert len(list(tmp_path.iterdir())) == 2
    del meter
    gc.collect()
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_meter_for_another_conversion_is_refused(data: Path, tmp_path: Path) -> None:
    source = data / "sd3-medium-tiny"
    wanted: dict[str, Any] = {"components": ["vae_encoder"], "quantize": "auto"}
    with Meter(source, components=["vae_decoder"]) as meter:
        with pytest.raises(
            UsageError, match=r"vae_encoder of the bundle has .*, the meter's none: give Meter"
        ):
            tintype.convert(source, tmp_path / "b", measure=meter, **wanted)
        wanted |= {"components": ["denoiser"], "batch": 2}
        with pytest.raises(UsageError, match=r"'pooled': .2, 80.*, the meter's .*'pooled': .1, 80"):
            tintype.convert(source, tmp_path / "b", measure=meter, **wanted)
    assert list(tmp_path.iterdir()) == []
