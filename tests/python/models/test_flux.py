"""FLUX's transformer: configs, the order of the modulation rows, and rotation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.errors import CheckpointError, ConversionError
from tintype.models import flux

Array = np.ndarray[Any, Any]
Config = Callable[..., flux.FluxConfig]


@pytest.fixture
def config(data: Path) -> Config:
    """config(**changes): flux-dev-tiny's FluxConfig with changes in its config.json."""
    rows = json.loads((data / "flux-dev-tiny/transformer/config.json").read_text())
    return lambda **changes: flux.FluxConfig.from_json(rows | changes, "transformer")


def test_modulation_layout(config: Config) -> None:
    settings = config(num_layers=1, num_single_layers=2)
    assert [(n.name, n.begin, n.rows) for n in flux.modulation_layout(settings).values()] == [
        ("transformer_blocks.0.norm1", 0, 6),
        ("transformer_blocks.0.norm1_context", 6, 6),
        ("single_transformer_blocks.0.norm", 12, 3),
        ("single_transformer_blocks.1.norm", 15, 3),
        ("norm_out", 18, 2),
    ]


def test_guidance_is_an_input_only_where_the_model_embeds_it(config: Config, weights: Any) -> None:
    def inputs(settings: flux.FluxConfig) -> list[tuple[str, tuple[int, ...]]]:
        program = flux.build_modulation(settings, weights, precision="float16")
        assert {spec.dtype for spec in program.inputs} == {"float16"}
        return [(spec.name, spec.shape) for spec in program.inputs]

    both = [("timestep_features", (1, 256)), ("pooled", (1, 32))]
    assert inputs(config()) == [*both, ("guidance_features", (1, 256))]
    assert inputs(config(guidance_embeds=False)) == both


def test_rows_of_queries_and_keys_are_reordered(config: Config, weights: Any) -> None:
    program = flux.build_denoiser(config(), weights, precision="float32", latent=(4, 6), tokens=8)
    raw = weights.value("transformer_blocks.0.attn.add_k_proj.weight").reshape(4, 8, 2, 64)
    got = (
        program.weights["transformer_blocks_0_attn_add_k_proj_weight"].array(np.float32).reshape(4, 2, 8, 64)
    )
    np.testing.assert_array_equal(got, raw.transpose(0, 2, 1, 3))
    raw = weights.value("transformer_blocks.0.attn.to_v.weight")
    np.testing.assert_array_equal(
        program.weights["transformer_blocks_0_attn_to_v_weight"].array(np.float32), raw
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes_dims_rope": [4, 6, 8]},
            r"axes_dims_rope is \(4, 6, 8\), expected three even numbers whose sum",
        ),
        ({"in_channels": 66}, "in_channels is 66, expected a multiple of the pixels of a token 4"),
        ({"patch_size": 2}, "patch_size is 2, expected one of 1"),
        ({"_class_name": "Flux2Transformer2DModel"}, "_class_name is 'Flux2Transformer2DModel', expected"),
        ({"guidance_embeds": 3}, "guidance_embeds is 3, expected true or false"),
    ],
)
def test_configs_of_other_models(config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        config(**changes)


def test_sizes_that_cannot_be(config: Config, weights: Any) -> None:
    with pytest.raises(
        ConversionError, match="the latent's width is 5, expected a positive multiple of the patch 2"
    ):
        flux.build_denoiser(config(), weights, precision="float32", latent=(4, 5), tokens=8)
