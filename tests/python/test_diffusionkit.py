"""DiffusionKit's calls: the same pictures as Tintype's own, from bundles and from checkpoints."""

import os
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from tintype.bundle import Bundle
from tintype.diffusionkit import DiffusionPipeline, FluxPipeline
from tintype.emit import convert
from tintype.errors import CheckpointError, UsageError
from tintype.pipeline import Pipeline

PROMPT = "a red circle above a blue square on a white background"


def pixels(image: Any) -> np.ndarray[Any, Any]:
    return np.asarray(image)


def test_a_bundle_draws_what_tintype_draws(sd3: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = DiffusionPipeline(model_version=sd3.root, shift=3.0, use_t5=False, backend="mlx")
    image, log = pipeline.generate_image(
        PROMPT, num_steps=2, cfg_weight=5.0, negative_text="blurry", latent_size=(16, 16), seed=7
    )
    with Pipeline.load(sd3, backend="mlx") as own:
        expected = own.generate(PROMPT, "blurry", steps=2, guidance_scale=5.0, seed=7, use_t5=False)
    np.testing.assert_array_equal(pixels(image), pixels(expected.image))
    assert log["seed"] == 7
    parts = sum(log[part]["time"] for part in ("text_encoding", "denoising", "decoding"))
    assert 0 < parts <= log["total_time"]
    assert capsys.readouterr().out.startswith("seed 7, ")
    pipeline.close()


def test_the_shift_is_the_schedules(sd3: Bundle) -> None:
    def draw(shift: float | None) -> Any:
        pipeline = DiffusionPipeline(shift=shift, model_version=sd3.root, backend="mlx")
        return pixels(pipeline.generate_image(PROMPT, 4, latent_size=(16, 16), seed=1, verbose=False)[0])

    np.testing.assert_array_equal(draw(None), draw(sd3.schedule.shift))
    assert not np.array_equal(draw(None), draw(1.0))
    with pytest.raises(UsageError, match="shift is 0, expected a number above 0"):
        DiffusionPipeline(shift=0)


def test_a_checkpoint_is_converted_once_for_each_size(
    data: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINTYPE_CACHE", str(tmp_path))
    options: dict[str, Any] = {"use_t5": False, "w16": True, "backend": "mlx"}
    checkpoint = data / "sd3-medium-tiny"
    first, _ = DiffusionPipeline(model_version=checkpoint, **options).generate_image(
        PROMPT, latent_size=(8, 16), seed=1, verbose=False
    )
    assert first.size == (128, 64)
    (folder,) = tmp_path.iterdir()
    bundle = Bundle.read(folder)
    assert bundle.precision == "float16"
    assert "text_encoder_3" not in bundle.components
    monkeypatch.setattr("tintype.emit.convert", None)  # a second conversion would fail
    again, _ = DiffusionPipeline(local_ckpt=checkpoint, **options).generate_image(
        PROMPT, latent_size=(8, 16), seed=1, verbose=False
    )
    np.testing.assert_array_equal(pixels(first), pixels(again))
    assert os.listdir(tmp_path) == [folder.name]


def test_a_cached_bundle_that_is_damaged_or_made_meanwhile(
    data: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINTYPE_CACHE", str(tmp_path))
    checkpoint = data / "sd3-medium-tiny"

    def draw() -> Any:
        pipeline = DiffusionPipeline(model_version=checkpoint, use_t5=False, backend="mlx")
        return pixels(pipeline.generate_image(PROMPT, 1, latent_size=(8, 8), seed=1, verbose=False)[0])

    first = draw()
    (folder,) = tmp_path.iterdir()
    (folder / "bundle.json").write_text("{")
    np.testing.assert_array_equal(draw(), first)

    def beaten(source: pathlib.Path, output: pathlib.Path, **choices: Any) -> Bundle:
        convert(source, output, **choices)  # the other process
        return convert(source, output, **choices)

    shutil.rmtree(folder)
    monkeypatch.setattr("tintype.emit.convert", beaten)
    np.testing.assert_array_equal(draw(), first)
    assert os.listdir(tmp_path) == [folder.name]


def test_flux(make_bundle: Any) -> None:
    dev = make_bundle("flux-dev-tiny")
    height, width = dev.latent.height, dev.latent.width
    image, _ = FluxPipeline(model_version=dev.root, use_t5=False, backend="mlx").generate_image(
        PROMPT, 2, 3.5, "no influence", (height, width), 3, verbose=False
    )
    with Pipeline.load(dev, backend="mlx") as own:
        expected = own.generate(PROMPT, steps=2, guidance_scale=3.5, seed=3)
    np.testing.assert_array_equal(pixels(image), pixels(expected.image))
    with pytest.raises(UsageError, match="is of the family flux: use FluxPipeline"):
        DiffusionPipeline(model_version=dev.root).generate_image(PROMPT)


def test_a_picture_to_begin_with(sd3: Bundle, data: pathlib.Path) -> None:
    start = data / "image-to-image/image.png"
    pipeline = DiffusionPipeline(model_version=sd3.root, backend="mlx")
    image, _ = pipeline.generate_image(
        PROMPT, 4, 5.0, latent_size=(16, 16), seed=7, verbose=False, image_path=start, denoise=0.5
    )
    with Pipeline.load(sd3, backend="mlx") as own:
        expected = own.generate(PROMPT, steps=4, guidance_scale=5.0, seed=7, image=start, strength=0.5)
    np.testing.assert_array_equal(pixels(image), pixels(expected.image))


def test_what_cannot_be_drawn_is_said(
    sd3: Bundle, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="size is 512x512, but the model sd3-medium-tiny was converted for"):
        DiffusionPipeline(model_version=sd3.root).generate_image(PROMPT)
    monkeypatch.setenv("TINTYPE_CACHE", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError):
        DiffusionPipeline(model_version=tmp_path / "empty").generate_image(PROMPT)
    assert os.listdir(tmp_path) == ["empty"]
