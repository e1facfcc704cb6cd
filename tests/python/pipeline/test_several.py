"""Several pictures of one run, and previews of the steps."""

import numpy as np
import pytest

from tintype.bundle import Latent
from tintype.errors import UsageError
from tintype.pipeline import Conditioned, GenerationResult, Pipeline, Step
from tintype.pipeline.preview import LatentProjection, probe


def test_the_noise_continues_and_the_text_is_read_once(demo_pipeline: Pipeline) -> None:
    events = list(demo_pipeline.steps("a red circle", steps=2, seed=4, count=2))
    starts = [e for e in events if isinstance(e, Conditioned)]
    results = [e for e in events if isinstance(e, GenerationResult)]
    random = np.random.RandomState(4)
    for start in starts:
        noise = random.standard_normal(start.latents.shape).astype(np.float32)
        np.testing.assert_array_equal(start.latents, noise)
    assert [e.image_index for e in events if isinstance(e, Step)] == [0, 0, 1, 1]
    assert [r.settings.image_index for r in results] == [0, 1]
    assert results[0].timings.text_encoder > results[1].timings.text_encoder == 0
    alone = demo_pipeline.generate("a red circle", steps=2, seed=4)
    np.testing.assert_array_equal(alone.latents, results[0].latents)
    assert not np.array_equal(alone.latents, results[1].latents)
    again = list(demo_pipeline.pictures("a red circle", steps=2, seed=4, count=2))
    np.testing.assert_array_equal(again[1].latents, results[1].latents)
    assert "image_index" not in again[0].settings.to_json()


def test_generate_draws_one(demo_pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="count is 2, but generate draws one picture: call pictures"):
        demo_pipeline.generate("x", count=2)


def test_a_linear_decoder_is_found_again() -> None:
    latents = probe(Latent(channels=4, height=24, width=20, downscale=2, scale=1, shift=0))
    factors = np.array(
        [[0.1, 0.2, -0.1, 0, 0.05], [0, 0.1, 0.1, -0.2, 0], [0.3, 0, 0, 0.1, -0.1]], np.float32
    )
    small = np.einsum("kc,chw->khw", factors[:, :-1], latents[0]) + factors[:, -1, None, None]
    decoded = small.repeat(2, axis=1).repeat(2, axis=2)[None]
    fitted = LatentProjection.fitted(latents, decoded)
    np.testing.assert_allclose(fitted.factors, factors, atol=1e-3)
    assert fitted.image(latents).size == (20, 24)


def test_previews_resemble_the_picture(demo_pipeline: Pipeline) -> None:
    prompt = "a red circle above a blue square on a white background"
    events = list(demo_pipeline.steps(prompt, steps=12, guidance_scale=4, seed=7, preview_interval=4))
    previews = {e.number: e.preview for e in events if isinstance(e, Step) and e.preview is not None}
    assert sorted(previews) == [4, 8, 12]
    picture = np.asarray(events[-1].image, np.float64)
    last = np.asarray(previews[12], np.float64)
    side = demo_pipeline.bundle.latent.downscale
    means = picture.reshape(last.shape[0], side, last.shape[1], side, 3).mean(axis=(1, 3))
    psnr = 20 * np.log10(255 / np.sqrt(np.mean((means - last) ** 2)))
    assert psnr > 12
