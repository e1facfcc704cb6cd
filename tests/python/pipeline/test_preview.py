"""Previews of the steps: the map from latents to small pictures, and how close it comes."""

import itertools
import pathlib
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import names
from tintype.bundle import Bundle, Latent
from tintype.errors import BundleError, UsageError
from tintype.pipeline import GenerationResult, Pipeline, Step
from tintype.pipeline.preview import LatentProjection, fit_projection, probe_latents, probe_pictures
from tintype.verify import fits_quickly, record_previews

SMALL = Latent(channels=4, height=40, width=36, downscale=4, scale=1, shift=0)


def test_a_linear_decoder_is_found_again() -> None:
    random = np.random.default_rng(0)
    weight, bias = random.normal(0, 0.04, (3, 4)).astype(np.float32), np.float32([0.1, 0, -0.2])

    def decode(latents: np.ndarray) -> np.ndarray:
        small = np.einsum("kc,bchw->bkhw", weight, latents) + bias[:, None, None]
        return small.repeat(4, axis=2).repeat(4, axis=3)

    fitted = fit_projection(SMALL, decode, None)
    assert (fitted.weight.shape, fitted.bias.shape) == ((12, 4, 3, 3), (12,))
    latents = next(probe_latents(SMALL))
    image = np.asarray(fitted.image(latents), np.float64)
    assert image.shape == (80, 72, 3)
    expected = np.rint((np.clip(decode(latents)[0, :, ::2, ::2], -1, 1) / 2 + 0.5) * 255).transpose(1, 2, 0)
    assert np.abs(image - expected).mean() < 4


def test_pixels_and_neighbours_keep_their_places() -> None:
    """By a map that is written down: pixel (row, column) of a square is channel 2·row + column of a neighbour."""
    weight, bias = np.zeros((12, 4, 3, 3), np.float32), np.zeros(12, np.float32)
    for colour, row, column in itertools.product(range(3), range(2), range(2)):
        weight[4 * colour + 2 * row + column, 2 * row + column, 0, 2] = 1  # up and right
    latents = np.random.default_rng(1).uniform(-1, 1, (1, 4, 5, 6)).astype(np.float32)
    pixels = np.asarray(LatentProjection(weight, bias).image(latents))
    for y, x, row, column in itertools.product(range(5), range(6), range(2), range(2)):
        value = latents[0, 2 * row + column, max(y - 1, 0), min(x + 1, 5)]
        expected = np.rint((value / 2 + 0.5) * 255)
        assert (np.abs(pixels[2 * y + row, 2 * x + column].astype(int) - expected) <= 1).all()


def test_probes_are_the_same_everywhere() -> None:
    pictures = list(probe_pictures(SMALL))
    assert [p.shape for p in pictures] == [(1, 3, 160, 144)] * 2
    assert set(np.unique(pictures)) == {-1.0, 1.0}
    colours = {tuple(row) for row in pictures[0][0].reshape(3, -1).T}
    assert len(colours) == 8
    # Swift's must have the same: all is integers.
    assert [p.sum(axis=(0, 2, 3)).tolist() for p in pictures] == [[-618, -8218, -168], [2410, 11140, -7960]]
    spread = np.stack(list(probe_latents(SMALL)))
    assert abs(spread.std() - 1) < 0.1


def test_previews_resemble_the_picture(demo_pipeline: Pipeline) -> None:
    prompt = "a red circle above a blue square on a white background"
    events = list(demo_pipeline.steps(prompt, steps=12, guidance_scale=4, seed=7, preview_interval=4))
    previews = {e.number: e.preview for e in events if isinstance(e, Step) and e.preview is not None}
    assert sorted(previews) == [4, 8, 12]
    assert isinstance(events[-1], GenerationResult)
    picture = np.asarray(events[-1].image, np.float64)
    last = np.asarray(previews[12], np.float64).repeat(4, axis=0).repeat(4, axis=1)
    assert last.shape == picture.shape
    assert 20 * np.log10(255 / np.sqrt(np.mean((picture - last) ** 2))) > 20


def test_the_map_is_in_the_bundle(sd3_half: Bundle, tmp_path: pathlib.Path) -> None:
    assert sd3_half.root is not None
    assert sd3_half.preview is None
    assert fits_quickly(sd3_half)
    bundle = record_previews(Bundle.read(shutil.copytree(sd3_half.root, tmp_path / "bundle")))
    assert bundle.root is not None
    assert Bundle.read(bundle.root) == bundle
    file = bundle.root / "preview.safetensors"
    first = file.read_bytes()
    record_previews(bundle)
    assert file.read_bytes() == first
    shown = []
    for each in (bundle, sd3_half):
        with Pipeline.load(each, backend="mlx") as pipeline:
            result = list(pipeline.steps("x", steps=1, seed=0, preview_interval=1))[1]
            assert isinstance(result, Step)
            assert result.preview is not None
            shown.append(np.asarray(result.preview))
    np.testing.assert_array_equal(*shown)
    tensors = load_file(file)
    save_file({**tensors, "bias": tensors["bias"][:5].copy()}, file)
    with Pipeline.load(bundle, backend="mlx") as pipeline:
        with pytest.raises(BundleError, match=r"bias of shape \[5\], expected .* verify --previews"):
            list(pipeline.steps("x", steps=1, preview_interval=1))
        file.write_bytes(b"")
        with pytest.raises(BundleError, match=r"preview.safetensors cannot be read .* verify --previews"):
            list(pipeline.steps("x", steps=1, preview_interval=1))
    file.unlink()
    with pytest.raises(BundleError, match=r"preview.path is 'preview.safetensors', but that file is missing"):
        Bundle.read(bundle.root)


def test_a_bundle_without_a_decoder_has_no_previews(sd3_half: Bundle) -> None:
    from dataclasses import replace

    parts = {k: v for k, v in sd3_half.components.items() if k != names.VAE_DECODER}
    with pytest.raises(UsageError, match="has no vae_decoder, so no previews can be fitted"):
        record_previews(replace(sd3_half, components=parts))
