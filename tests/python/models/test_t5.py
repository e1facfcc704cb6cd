"""The T5 encoder: configs, position buckets, and float16 safety."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.emit.package import write_package
from tintype.errors import CheckpointError
from tintype.layers import ComputedWeight
from tintype.models import t5

Config = Callable[..., dict[str, Any]]

#: transformers 5.23: T5Attention._relative_position_bucket(arange(256) - 0, True, 32, 128), as
#: (distance at which the bucket begins, bucket).
FORWARD = [(0, 0), (1, 17), (2, 18), (3, 19), (4, 20), (5, 21), (6, 22), (7, 23), (8, 24), (12, 25), (16, 26)]
FORWARD += [(23, 27), (32, 28), (46, 29), (64, 30), (91, 31)]


def test_position_buckets() -> None:
    buckets = t5.position_buckets(256, 32, 128)
    row = buckets[0]
    begins = [(int(i), int(row[i])) for i in range(256) if i == 0 or row[i] != row[i - 1]]
    assert begins == FORWARD
    np.testing.assert_array_equal(buckets[:, 0][1:], row[1:] - 16)  # the other direction has the lower half


def test_only_gated_gelu(config: Config) -> None:
    with pytest.raises(CheckpointError, match="feed_forward_proj is 'relu', expected one of 'gated-gelu'"):
        t5.T5Config.from_json(config("text_encoder_3", feed_forward_proj="relu"), "text_encoder_3")


@pytest.mark.parametrize("target", ["gpu", "ane"])
def test_float16_holds_a_residual_stream_beyond_65504(
    config: Config, weights: Any, tmp_path: Path, target: Any
) -> None:
    """With the MLP's last projection scaled so that its output passes 2e5, float16 still follows float32."""

    class Large:
        def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
            inner = weights.get(key, shape)
            factor = 3e4 if key.endswith("wo.weight") else 1.0
            return ComputedWeight(key, shape, lambda: inner.array(np.float32) * factor)

        def __contains__(self, key: object) -> bool:
            return True

    settings = t5.T5Config.from_json(config("text_encoder_3"), "text_encoder_3")
    ids = np.arange(1, 25, dtype=np.int32)[None]
    out = {}
    for precision in ("float32", "float16"):
        path = tmp_path / f"{precision}.mlpackage"
        program = t5.build(settings, Large(), precision=precision, tokens=24, target=target)  # type: ignore[arg-type]
        write_package(program, path)
        result = tintype.load_model(path, backend="mlx").predict({"input_ids": ids})
        out[precision] = result["hidden_states"].astype(np.float32)
    assert np.isfinite(out["float16"]).all()
    error, peak = out["float16"] - out["float32"], np.abs(out["float32"]).max()
    assert 10 * np.log10(peak**2 / (error**2).mean()) >= 40


@pytest.mark.parametrize("target", ["gpu", "ane"])
def test_queries_and_keys_are_never_compressed(config: Config, weights: Any, target: Any) -> None:
    settings = t5.T5Config.from_json(config("text_encoder_3"), "text_encoder_3")
    program = t5.build(settings, weights, precision="float16", tokens=8, target=target)
    kept = {program.weights[name].name for name in program.exact}
    rows = (
        f"encoder.block.{i}.layer.0.SelfAttention.{n}.weight" for i in range(settings.layers) for n in "qk"
    )
    assert kept == set(rows)
