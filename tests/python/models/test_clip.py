"""CLIP text encoders: configs, and the row that becomes the pooled output."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.emit.package import write_package
from tintype.errors import CheckpointError
from tintype.models import clip

Config = Callable[..., dict[str, Any]]


def test_released_configs_end_at_the_last_entry_of_the_vocabulary(config: Config) -> None:
    """They say eos_token_id 2, where transformers takes the largest id (49407 of 49408)."""
    rows = config("text_encoder", eos_token_id=2, vocab_size=49408)
    assert clip.CLIPConfig.from_json(rows, "text_encoder").eos_token_id == 49407
    assert clip.CLIPConfig.from_json(config("text_encoder"), "text_encoder").eos_token_id == 700


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hidden_act": "relu"},
            "text_encoder/config.json: hidden_act is 'relu', expected one of 'quick_gelu'",
        ),
        ({"num_attention_heads": 5}, "hidden_size is 32, expected a multiple of num_attention_heads 5"),
        ({"vocab_size": None}, "vocab_size is missing"),
        ({"num_hidden_layers": 1}, "num_hidden_layers is 1, expected an integer from 2 to 1000"),
        ({"model_type": "bert"}, "model_type is 'bert'"),
    ],
)
def test_bad_configs(config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        clip.CLIPConfig.from_json(config("text_encoder", **changes), "text_encoder")


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_pooled_is_the_state_at_the_first_end_token(
    config: Config, weights: Any, tmp_path: Path, precision: Any
) -> None:
    """Attention is causal, so what follows the first end token cannot change it, but an earlier one does."""
    settings = clip.CLIPConfig.from_json(config("text_encoder"), "text_encoder")
    write_package(clip.build(settings, weights, precision=precision, tokens=77), tmp_path / "m.mlpackage")
    model = tintype.load_model(tmp_path / "m.mlpackage", backend="mlx")
    end = settings.eos_token_id

    def pooled(*ids: int) -> Any:
        row = np.array([[*ids, *[end] * (77 - len(ids))]], np.int32)
        return model.predict({"input_ids": row})["pooled"].astype(np.float32)

    base = pooled(699, 5, 6, end)
    np.testing.assert_allclose(pooled(699, 5, 6, end, 9, 8, 7), base, rtol=1e-3, atol=1e-3)
    assert float(np.abs(pooled(699, 5, 6, 7, end) - base).max()) > 0.01
    assert float(np.abs(pooled(699, 5, end) - base).max()) > 0.01


def test_encoder_without_projection(config: Config, weights: Any) -> None:
    settings = clip.CLIPConfig.from_json(
        config("text_encoder", architectures=["CLIPTextModel"]), "text_encoder"
    )
    program = clip.build(settings, weights, precision="float32", tokens=77)
    assert [(s.name, s.shape) for s in program.outputs] == [
        ("hidden_states", (1, 77, 32)),
        ("pooled", (1, 32)),
    ]
    assert "text_projection.weight" not in weights.asked


def test_fewer_tokens_than_positions(config: Config, weights: Any) -> None:
    settings = clip.CLIPConfig.from_json(config("text_encoder"), "text_encoder")
    program = clip.build(settings, weights, precision="float32", tokens=24)
    table = program.weights["text_model_embeddings_position_embedding_weight"]
    assert table.shape == (1, 24, 32)
    assert table.array(np.float32).shape == (1, 24, 32)
