"""Generators, image-to-image, inpainting and several pictures: Swift's command line and Python draw the same."""

import pathlib
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import tintype
from tintype.bundle import Bundle

PROMPT = "a red circle above a blue square on a white background"


@pytest.mark.parametrize(
    ("generator", "masked", "bits"), [("torch", False, 0.0), ("torch", True, 0.0), ("philox", True, 1e-6)]
)
def test_swift_begins_with_a_picture_as_python_does(
    make_bundle: Callable[..., Bundle],
    swift_cli: pathlib.Path,
    data: pathlib.Path,
    tmp_path: pathlib.Path,
    generator: str,
    masked: bool,
    bits: float,
) -> None:
    bundle, folder = make_bundle("sd3-medium-tiny"), data / "image-to-image"
    mask = folder / "mask.png" if masked else None
    arguments = [
        *("generate", PROMPT, "--model", bundle.root, "--backend", "mlx", "--steps", 6, "--seed", 11),
        *("--generator", generator, "--image", folder / "image.png", "--strength", 0.7, "--count", 2),
        *("--output", tmp_path / "a.png", "--latents-out", tmp_path / "a.npy"),
        *("--noise-out", tmp_path / "noise.safetensors", *(("--mask", mask) if mask else ())),
    ]
    run = subprocess.run([swift_cli, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    with tintype.Pipeline.load(bundle, backend="mlx") as pipeline:
        events = list(
            pipeline.steps(
                PROMPT,
                steps=6,
                seed=11,
                generator=generator,
                image=folder / "image.png",
                strength=0.7,
                mask=mask,
                count=2,
            )
        )
    starts = [event for event in events if isinstance(event, tintype.pipeline.Conditioned)]
    results = [event for event in events if isinstance(event, tintype.GenerationResult)]
    assert len(starts) == len(results) == 2
    for number, (start, result) in enumerate(zip(starts, results, strict=True), start=1):
        np.testing.assert_allclose(
            load_file(tmp_path / f"noise-{number}.safetensors")["noise"], start.latents, rtol=0, atol=bits
        )
        largest = np.abs(result.latents).max()
        np.testing.assert_allclose(np.load(tmp_path / f"a-{number}.npy"), result.latents, atol=1e-3 * largest)
        with Image.open(tmp_path / f"a-{number}.png") as image:
            pixels = np.asarray(image.convert("RGB"), np.int16)
        assert np.abs(pixels - np.asarray(result.image, np.int16)).max() <= 1
        swifts = tintype.pipeline.read_parameters(tmp_path / f"a-{number}.png")
        assert swifts == result.settings.to_json()
