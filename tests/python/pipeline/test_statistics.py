"""What a run's predictions cost, by stage."""

import pytest

from tintype import names
from tintype.bundle import Bundle
from tintype.cli.statistics import prediction_text, run_text
from tintype.pipeline import GenerationResult, Pipeline
from tintype.pipeline.statistics import RunStatistics


def test_a_run_on_the_engine_is_told_by_stage_and_op(sd3_half: Bundle) -> None:
    with Pipeline.load(sd3_half, backend="mlx") as pipeline:
        assert pipeline.generate("x", steps=1, seed=0).statistics is None
        events = pipeline.steps("x", steps=2, seed=0, guidance_scale=5, count=2, statistics=True)
        first, second = [e for e in events if isinstance(e, GenerationResult)]
    assert first.statistics is not None
    assert second.statistics is not None
    # 2 rows: three encoders; the modulation of two steps and the steps themselves; one decoding a picture.
    counts = {name: stage.predictions for name, stage in first.statistics.items()}
    assert counts == {"text_encoder": 6, "denoiser": 8, "vae": 1}
    assert {n: s.predictions for n, s in second.statistics.items()} == {**counts, "denoiser": 12, "vae": 2}
    for name, stage in first.statistics.items():
        assert (stage.backends, stage.untold) == (("mlx",), ())
        seconds = [row.seconds for row in stage.ops.values()]
        assert seconds == sorted(seconds, reverse=True)
        assert 0 < sum(seconds) <= stage.seconds
        assert stage.ops["linear"].calls > 0
        assert stage.ops["linear"].bytes > 0
        assert stage.peak_bytes is not None
        assert stage.peak_bytes > 0
        text = run_text({name: stage})
        assert "linear" in text
        assert "peak of the process: " in text
    weights = sum(sd3_half.components[n].weight_bytes for n in (names.MODULATION, names.DENOISER))
    told = first.statistics["denoiser"].weight_bytes
    assert told is not None
    assert abs(told - weights) < 0.02 * weights + 65536


def test_a_backend_that_tells_the_time_alone_is_named() -> None:
    collected = RunStatistics()
    collected.add(names.DENOISER, "a.mlpackage", "coreml", {"seconds": 0.5})
    collected.add(names.DENOISER, "a.mlpackage", "coreml", {"seconds": 0.25})
    stage = collected.stages()["denoiser"]
    assert (stage.seconds, stage.predictions, stage.untold) == (0.75, 2, ("coreml",))
    assert (stage.ops, stage.peak_bytes, stage.weight_bytes) == ({}, None, None)
    text = run_text({"denoiser": stage})
    assert "750.00" in text
    assert "coreml tells a prediction's time alone: no ops, no memory" in text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "the backend collects no statistics"),
        ({"seconds": 0.001}, "1.00 ms; Core ML does not tell the ops' shares, nor the memory"),
    ],
)
def test_a_prediction_without_ops(found: dict[str, float] | None, text: str) -> None:
    assert prediction_text(found) == text
