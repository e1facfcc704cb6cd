"""What of a pipeline is in memory, and when."""

import pathlib
from typing import Any

import numpy as np
import pytest

from tintype.bundle import Bundle
from tintype.errors import InvalidInputError, UsageError
from tintype.pipeline import Conditioned, GenerationResult, Pipeline, Step, text_to_image

COMPONENTS = ("text_encoder", "text_encoder_2", "text_encoder_3", "modulation", "denoiser", "vae_decoder")


def test_models_are_kept_by_default(sd3: Bundle) -> None:
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        assert pipeline.loaded == ()
        pipeline.generate("x", steps=1, seed=0)
        assert pipeline.loaded == COMPONENTS
    assert pipeline.loaded == ()


def test_models_are_freed_when_they_are_done(sd3: Bundle) -> None:
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        expected = pipeline.generate("x", steps=2, seed=0)
    with Pipeline.load(sd3, backend="mlx", reduce_memory=True) as pipeline:
        first = {}
        for event in pipeline.steps("x", steps=2, seed=0):
            first.setdefault(type(event), pipeline.loaded)
        assert first == {Conditioned: (), Step: ("denoiser",), GenerationResult: ()}
        assert isinstance(event, GenerationResult)
        np.testing.assert_array_equal(event.latents, expected.latents)
        assert event.stages == expected.stages
        assert event.settings == expected.settings
        again = pipeline.generate("x", steps=2, seed=0)
    np.testing.assert_array_equal(again.latents, expected.latents)


def test_several_pictures_of_a_picture_read_text_and_source_once(sd3: Bundle, data: pathlib.Path) -> None:
    options: dict[str, Any] = {"steps": 2, "seed": 0, "count": 2, "image": data / "image-to-image/image.png"}
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        expected = list(pipeline.pictures("x", **options))
    with Pipeline.load(sd3, backend="mlx", reduce_memory=True) as pipeline:
        results = []
        for event in pipeline.steps("x", **options):
            if isinstance(event, Step):
                assert pipeline.loaded == ("denoiser",)
            if isinstance(event, GenerationResult):
                # The denoiser stays for the pictures to come.
                assert pipeline.loaded == (() if results else ("denoiser",))
                results.append(event)
    assert len(results) == 2
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.latents, other.latents)
        assert result.stages == other.stages
    assert results[1].timings.text_encoder == 0


def test_a_freed_model_is_closed(sd3: Bundle) -> None:
    with Pipeline.load(sd3, backend="mlx", reduce_memory=True) as pipeline:
        model = pipeline._models.model("text_encoder", "mlx")
        next(iter(pipeline.steps("x", steps=1, seed=0)))
        with pytest.raises(InvalidInputError, match="closed"):
            model.predict({"input_ids": np.zeros((1, 77), np.int32)})


@pytest.mark.parametrize("ending", ["on_step", "stopping", "failing"])
def test_a_run_without_an_end_frees_its_models(
    sd3: Bundle, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        assert pipeline.loaded == ("denoiser",)
        raise KeyboardInterrupt

    with Pipeline.load(sd3, backend="mlx", reduce_memory=True) as pipeline:
        if ending == "stopping":
            events = pipeline.steps("x", steps=2, seed=0)
            assert any(isinstance(event, Step) for event in events)
            assert pipeline.loaded == ("denoiser",)
            events.close()
        else:
            if ending == "failing":
                monkeypatch.setattr(text_to_image, "euler_step", stop)
            # The exception is held, and with it the frames that it went through.
            with pytest.raises(KeyboardInterrupt) as held:
                pipeline.generate("x", steps=2, seed=0, on_step=stop)
            assert held.value.__traceback__ is not None
        assert pipeline.loaded == ()


def test_prewarming_loads_what_a_run_needs(sd3: Bundle) -> None:
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        warmed = pipeline.prewarm()
        assert tuple(row.component for row in warmed) == pipeline.loaded == (*COMPONENTS, "vae_encoder")
        assert {row.backend for row in warmed} == {"mlx"}
        assert all(row.seconds > 0 for row in warmed)
        assert pipeline.generate("x", steps=1, seed=0).timings.load == 0
    with Pipeline.load(sd3, backend="mlx", reduce_memory=True) as pipeline:
        assert len(pipeline.prewarm()) == len(COMPONENTS) + 1
        assert pipeline.loaded == ()


def test_a_budget_frees_what_was_used_longest_ago(sd3: Bundle) -> None:
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        expected = pipeline.generate("x", steps=2, seed=0)
    bytes_of = {name: row.weight_bytes for name, row in sd3.components.items()}
    budget = bytes_of["denoiser"] + bytes_of["modulation"]
    with Pipeline.load(sd3, backend="mlx", memory_budget=budget) as pipeline:
        events = []
        for event in pipeline.steps("x", steps=2, seed=0):
            assert sum(bytes_of[name] for name in pipeline.loaded) <= budget
            events.append(event)
        event = events[-1]
        assert isinstance(event, GenerationResult)
        np.testing.assert_array_equal(event.latents, expected.latents)
        assert event.stages == expected.stages
        assert "vae_decoder" in pipeline.loaded
        assert "text_encoder" not in pipeline.loaded
    with Pipeline.load(sd3, backend="mlx", memory_budget=1) as pipeline:  # one at a time, each larger
        for _ in pipeline.steps("x", steps=1, seed=0):
            assert len(pipeline.loaded) == 1
    for budget in (0, -1, True):
        with pytest.raises(UsageError, match=r"memory_budget is .*, expected a positive number of bytes"):
            Pipeline.load(sd3, memory_budget=budget)


def test_prewarming_some_stages_tells_how_far_it_is(sd3: Bundle) -> None:
    told: list[tuple[str, int, int]] = []
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        warmed = pipeline.prewarm(["vae", "denoiser"], on_progress=lambda *row: told.append(row))
        assert told == [(row.component, index, len(warmed)) for index, row in enumerate(warmed)]
        assert [row.component for row in warmed] == ["modulation", "denoiser", "vae_decoder", "vae_encoder"]
        assert {(row.reason, row.compiled) for row in warmed} == {("asked for", None)}
        assert pipeline.prewarm([]) == []
        with pytest.raises(UsageError, match="stages names 'unet', expected some of 'text_encoder'"):
            pipeline.prewarm(["unet"])
        with pytest.raises(UsageError, match="units is 'npu'"):
            pipeline.prewarm(units="npu")
