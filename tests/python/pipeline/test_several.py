"""Several pictures of one run."""

import numpy as np
import pytest

from tintype.errors import UsageError
from tintype.pipeline import Conditioned, GenerationResult, Pipeline, Step


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
