"""One bundle, every route: Python on MLX, Python on Core ML through Swift, Swift on both draw the same image.

On Linux Core ML is the portable one, whose models run on the engine: what these tests then compare is
everything around the models — tokens, noise, schedule, guidance, composition, decoding, strides and dtypes on
the way through three languages.
"""

import json
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image

import tintype

PROMPT = "a red circle above a blue square on a white background"
SETTINGS = {"steps": 6, "guidance_scale": 5.0, "seed": 11}
ONE_LEVEL = 1
SD3 = pathlib.Path(__file__).parents[1] / "data/sd3-medium-tiny"


def python_route(
    bundle: pathlib.Path, backend: str, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Initial noise, final latents, pixels."""
    with tintype.Pipeline.load(bundle, backend=backend) as pipeline:
        events = list(pipeline.steps(PROMPT, negative_prompt="blurry", size=size, **SETTINGS))
    first, last = events[0], events[-1]
    assert set(last.settings.backends.values()) == {backend}
    return first.latents, last.latents, np.asarray(last.image)


def swift_route(
    cli: pathlib.Path,
    bundle: pathlib.Path,
    backend: str,
    out: pathlib.Path,
    size: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arguments = [
        *("generate", PROMPT, "--negative-prompt", "blurry", "--model", bundle, "--backend", backend),
        *("--steps", SETTINGS["steps"], "--guidance-scale", SETTINGS["guidance_scale"]),
        *("--seed", SETTINGS["seed"], "--output", out / "image.png", "--latents-out", out / "final.npy"),
        *("--noise-out", out / "noise.npy", "--json"),
        *(("--size", f"{size[0]}x{size[1]}") if size else ()),
    ]
    run = subprocess.run([cli, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout)["settings"]["backends"].values()) == {backend}
    with Image.open(out / "image.png") as image:
        return np.load(out / "noise.npy"), np.load(out / "final.npy"), np.asarray(image.convert("RGB"))


def assert_same(route: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> None:
    noise, latents, pixels = route
    want_noise, want_latents, want_pixels = reference
    assert noise.dtype == want_noise.dtype == np.float32
    assert np.array_equal(noise.view(np.uint32), want_noise.view(np.uint32)), "initial noise differs"
    np.testing.assert_allclose(latents, want_latents, atol=1e-3 * np.abs(want_latents).max())
    difference = np.abs(pixels.astype(np.int16) - want_pixels.astype(np.int16))
    assert difference.max() <= ONE_LEVEL, f"{(difference > ONE_LEVEL).sum()} values differ by more than 1/255"
    assert want_pixels.std() > 1, "a blank picture proves nothing"


def test_python_through_swift_draws_what_python_draws(bundle: pathlib.Path) -> None:
    assert_same(python_route(bundle, "coreml"), python_route(bundle, "mlx"))


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_swift_draws_what_python_draws(
    bundle: pathlib.Path, swift_cli: pathlib.Path, backend: str, tmp_path: pathlib.Path
) -> None:
    assert_same(swift_route(swift_cli, bundle, backend, tmp_path), python_route(bundle, "mlx"))


def test_stages_can_run_on_different_backends(bundle: pathlib.Path) -> None:
    mixed = {"text_encoder": "coreml", "denoiser": "mlx", "vae": "coreml"}
    with tintype.Pipeline.load(bundle, backend="mlx") as pipeline:
        one = pipeline.generate(PROMPT, backend=mixed, **SETTINGS)
        other = pipeline.generate(PROMPT, **SETTINGS)
    assert dict(one.settings.backends) == mixed
    np.testing.assert_array_equal(np.asarray(one.image), np.asarray(other.image))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A bundle for two sizes whose denoiser is in chunks."""
    folder = tmp_path_factory.mktemp("parts") / "bundle"
    tintype.convert(SD3, folder, precision="float16", size=[(128, 128), (192, 128)], max_chunk=250_000)
    return folder


@pytest.mark.parametrize("size", [(128, 128), (192, 128)])
@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_chunks_and_sizes_run_alike(
    parts: pathlib.Path, swift_cli: pathlib.Path, size: tuple[int, int], backend: str, tmp_path: pathlib.Path
) -> None:
    reference = python_route(parts, "mlx", size)
    assert reference[2].shape == (size[1], size[0], 3)
    assert_same(swift_route(swift_cli, parts, backend, tmp_path, size), reference)
