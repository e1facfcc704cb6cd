"""A bundle of several sizes with a denoiser in chunks: every route draws the same picture at a size of its own."""

import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image

import tintype
from tintype.bundle import Bundle

PROMPT = "a red circle above a blue square on a white background"
SIZES = [(64, 64), (96, 64), (64, 96)]


@pytest.fixture(scope="module", params=["sd3-medium-tiny", "flux-dev-tiny"])
def cut(
    request: pytest.FixtureRequest, data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    output = tmp_path_factory.mktemp("cut") / "bundle"
    bundle = tintype.convert(data / request.param, output, size=SIZES, max_chunk=500_000, precision="float32")
    assert len(bundle.component("denoiser").chunks) > 1
    return bundle


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_python(cut: Bundle, backend: str) -> None:
    with tintype.Pipeline.load(cut, backend=backend) as pipeline:
        pictures = {size: pipeline.generate(PROMPT, steps=3, seed=2, size=size) for size in SIZES}
        default = pipeline.generate(PROMPT, steps=3, seed=2)
    np.testing.assert_array_equal(default.latents, pictures[SIZES[0]].latents)
    for size, result in pictures.items():
        assert result.image.size == size
        assert result.settings.backends["denoiser"] == backend


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_swift(cut: Bundle, swift_cli: pathlib.Path, backend: str, tmp_path: pathlib.Path) -> None:
    with tintype.Pipeline.load(cut, backend="mlx") as pipeline:
        for width, height in SIZES[1:]:
            arguments = ["generate", PROMPT, "--model", str(cut.root), "--backend", backend, "--steps", "3"]
            arguments += ["--seed", "2", "--size", f"{width}x{height}", "--output", str(tmp_path / "a.png")]
            run = subprocess.run([str(swift_cli), *arguments], capture_output=True, text=True, check=False)
            assert run.returncode == 0, run.stderr
            expected = pipeline.generate(PROMPT, steps=3, seed=2, size=(width, height))
            with Image.open(tmp_path / "a.png") as image:
                pixels = np.asarray(image.convert("RGB")).astype(int)
            assert np.abs(pixels - np.asarray(expected.image).astype(int)).max() <= 1
