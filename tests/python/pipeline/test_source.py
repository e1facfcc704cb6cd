"""Image-to-image and inpainting against diffusers' pipelines (tests/data/scripts/make_image_to_image.py)."""

import pathlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tintype.bundle import Bundle, Latent, Size
from tintype.errors import BundleError, UsageError
from tintype.pipeline import Pipeline
from tintype.pipeline.source import ImageSource, LatentSource, coverage, pixels_of, resized

PROMPT = "a red circle above a blue square on a white background"
OPTIONS: dict[str, Any] = {"steps": 8, "guidance_scale": 5.0, "seed": 9, "generator": "torch"}
CLOSE = 1e-4


def error(value: np.ndarray, expected: np.ndarray) -> float:
    assert value.shape == expected.shape
    return float(np.abs(value - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "strength", "masked"), [("image_to_image", 0.7, False), ("inpainting", 0.6, True)]
)
def test_latents_are_diffusers(
    sd3_pipeline: Pipeline, data: pathlib.Path, name: str, strength: float, masked: bool
) -> None:
    folder = data / "image-to-image"
    golden = load_file(folder / f"{name}.safetensors")
    mask = folder / "mask.png" if masked else None
    events = list(
        sd3_pipeline.steps(
            PROMPT, "blurry, low quality", image=folder / "image.png", mask=mask, strength=strength, **OPTIONS
        )
    )
    np.testing.assert_array_equal(events[0].latents, golden["noise"])
    assert error(events[-1].latents, golden["final_latent"]) <= CLOSE
    assert events[-1].settings.strength == strength
    assert len(events) - 2 == events[1].steps == 8 - int(8 - 8 * strength)


def test_outside_the_mask_the_source_stays(sd3_pipeline: Pipeline, data: pathlib.Path) -> None:
    folder = data / "image-to-image"
    with Image.open(folder / "image.png") as image:
        black = np.zeros((128, 128), np.uint8)
        kept = sd3_pipeline.generate(PROMPT, image=image, mask=black, **OPTIONS)
    assert error(kept.latents, load_file(folder / "image_to_image.safetensors")["source"]) <= CLOSE
    assert kept.settings.to_json()["strength"] == 0.6


@pytest.mark.parametrize(
    ("steps", "strength", "first"),
    [(8, 1.0, 0), (8, 0.7, 2), (28, 0.6, 11), (10, 0.3, 7), (2, 0.1, 1), (1, 0.5, 0), (4, 1e-20, 3)],
)
def test_strength_says_how_many_steps_are_run(steps: int, strength: float, first: int) -> None:
    assert ImageSource(np.zeros((1, 1, 3), np.uint8), None, strength).first_step(steps) == first


def test_masks_are_shrunk_by_their_mean_and_mix() -> None:
    mask = np.zeros((2, 4, 3), np.uint8)
    mask[0, 0] = mask[0, 2] = mask[0, 3] = 255
    assert coverage(mask, 2).tolist() == [[0.25, 0.5]]
    latent = Latent(channels=1, height=1, width=2, downscale=2, scale=2.0, shift=1.0)
    encoded = np.array([[[[2, 4]]]], np.float32)
    source = LatentSource.encoded(lambda _: encoded, ImageSource(mask, mask, 1.0), latent)
    noise, drawn = np.full((1, 1, 1, 2), 8, np.float32), np.zeros((1, 1, 1, 2), np.float32)
    assert source.noised(noise, 0.5).tolist() == [[[[5, 6]]]]
    assert source.kept(drawn, noise, 0.5).tolist() == [[[[3.75, 3]]]]


WHOLE = np.zeros((128, 128, 3), np.uint8)
STRENGTH = "expected a number above 0 up to 1 (1 begins with noise alone)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": np.zeros((2, 1), np.uint8)},
         "the image is 1x2, but sd3-medium-tiny draws 128x128: have it resized (fill or stretch), or ask for size "
         "1x2, which the model must be converted for"),
        ({"image": WHOLE, "mask": np.zeros((64, 128), np.uint8)},
         "the mask is 128x64, but the image is 128x128: scale or crop the mask"),
        ({"image": WHOLE, "mask": np.zeros((64, 128), np.uint8), "resize": "fill"},
         "the mask is 128x64, but the image is 128x128: scale or crop the mask"),
        ({"image": WHOLE, "resize": "fit"}, "resize is 'fit', expected 'fill' or 'stretch', or None"),
        ({"resize": "fill"}, "resize has no influence without image: name the picture to begin with"),
        ({"image": WHOLE, "strength": 0}, f"strength is 0, {STRENGTH}"),
        ({"image": WHOLE, "strength": 1.01}, f"strength is 1.01, {STRENGTH}"),
        ({"image": WHOLE, "strength": float("nan")}, f"strength is nan, {STRENGTH}"),
        ({"image": WHOLE, "strength": 10**400}, f"strength is {10**400}, {STRENGTH}"),
        ({"image": WHOLE, "strength": "1"}, f"strength is '1', {STRENGTH}"),
        ({"mask": WHOLE}, "mask has no influence without image: name the picture to begin with"),
        ({"strength": 0.5}, "strength has no influence without image: name the picture to begin with"),
        ({"image": np.zeros((128, 128, 3))}, "image is float64 of shape (128, 128, 3), expected a PIL image, the "
         "path of a picture, or a uint8 array of shape (height, width), (height, width, 3) or (height, width, 4)"),
        ({"count": 0}, "count is 0, expected an integer from 1 to 10000"),
        ({"preview_interval": 0}, "preview_interval is 0, expected an integer from 1 to 10000"),
        ({"count": 2, "latents": np.zeros((1, 16, 16, 16), np.float32)},
         "latents are given for one picture, but 2 are asked for: leave latents out, or ask for one"),
        ({"generator": "mt"}, "generator is 'mt', expected 'numpy', 'torch', 'philox'"),
    ],
)  # fmt: skip
def test_refusals(sd3_pipeline: Pipeline, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        sd3_pipeline.steps("x", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("how", ["fill", "stretch"])
@pytest.mark.parametrize("size", [(64, 64), (48, 128)])
def test_pictures_of_other_sizes_are_resized(data: pathlib.Path, how: str, size: tuple[int, int]) -> None:
    golden = pixels_of("image", data / f"resizing/{how}-{size[0]}x{size[1]}.png")
    picture = pixels_of("image", data / "resizing/picture.png")
    np.testing.assert_array_equal(resized(picture, Size(*size), how), golden)


def test_a_run_begins_with_the_resized_picture_and_mask(sd3_pipeline: Pipeline, data: pathlib.Path) -> None:
    picture = pixels_of("image", data / "resizing/picture.png")
    options: dict[str, Any] = {"steps": 2, "seed": 3, "use_t5": False}
    ours = sd3_pipeline.generate("x", image=picture, mask=picture, resize="fill", **options)
    fitting = resized(picture, Size(128, 128), "fill")
    theirs = sd3_pipeline.generate("x", image=fitting, mask=fitting, **options)
    np.testing.assert_array_equal(np.array(ours.image), np.array(theirs.image))


def test_a_bundle_without_the_encoder(sd3: Bundle) -> None:
    rest = {name: row for name, row in sd3.components.items() if name != "vae_encoder"}
    with pytest.raises(BundleError, match=r"has no .vae_encoder..*convert the model again"):
        Pipeline(replace(sd3, components=rest)).steps("x", image=WHOLE)


def test_pictures_of_every_kind(tmp_path: pathlib.Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    picture = Image.fromarray(pixels)
    transparent = picture.copy()
    transparent.putalpha(0)
    for kind in (pixels, picture, transparent, np.dstack([pixels, pixels[..., 0]])):
        np.testing.assert_array_equal(pixels_of("image", kind), pixels)
    turned = Image.Exif()
    turned[0x0112] = 6  # the picture's top is the file's left side: turn right to see it
    picture.save(tmp_path / "turned.png", exif=turned)
    np.testing.assert_array_equal(pixels_of("image", tmp_path / "turned.png"), np.rot90(pixels, -1))
    deep = Image.fromarray(np.array([[0, 0x1234, 0xFFFF]], np.uint16))
    deep.save(tmp_path / "deep.png")
    assert pixels_of("mask", tmp_path / "deep.png")[0, :, 0].tolist() == [0, 0x12, 0xFF]
    (tmp_path / "no.png").write_text("no")
    with pytest.raises(UsageError, match=r"mask is '.*no.png', which cannot be read as a picture"):
        pixels_of("mask", tmp_path / "no.png")
    with pytest.raises(UsageError, match=r"image is '.*gone.png', which cannot be read"):
        pixels_of("image", str(tmp_path / "gone.png"))
    with pytest.raises(UsageError, match=r"image is a picture of mode F, whose scale is not known"):
        pixels_of("image", Image.new("F", (2, 2)))
