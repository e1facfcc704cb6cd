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
    def inputs(settings: flux.FluxConfig) -> list[tuple[str, str]]:
        program = flux.build_modulation(settings, weights, precision="float16")
        return [(spec.name, spec.dtype) for spec in program.inputs]

    assert inputs(config()) == [("timestep", "float32"), ("pooled", "float16"), ("guidance", "float32")]
    assert inputs(config(guidance_embeds=False)) == [("timestep", "float32"), ("pooled", "float16")]


def test_rotating_halves_is_rotating_neighbours(config: Config) -> None:
    """q·k after our tables on reordered rows = q·k after the published rotation of neighbours."""
    rng = np.random.default_rng(0)
    tokens, grid, width = 3, (2, 5), 16
    q, k = rng.standard_normal((2, tokens + 10, width))
    cos, sin = (t.astype(np.float64) for t in flux.rotary_tables((4, 6, 6), tokens, grid))

    def ours(x: Array) -> Array:
        halves = np.concatenate([x[:, ::2], x[:, 1::2]], 1)
        swapped = np.concatenate([halves[:, 8:], halves[:, :8]], 1)
        return halves * cos + swapped * sin

    def published(x: Array) -> Array:
        angles = np.arctan2(sin[:, 8:], cos[:, 8:])
        turned = (x[:, ::2] + 1j * x[:, 1::2]) * np.exp(1j * angles)
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)

    np.testing.assert_allclose(ours(q) @ ours(k).T, published(q) @ published(k).T, atol=1e-6)
    # Text is not turned; the second row's first column turns the row axis alone, by one radian at first.
    assert (cos[:tokens] == 1).all()
    assert (sin[:tokens] == 0).all()
    angles = np.arctan2(sin[tokens + 5, 8:], cos[tokens + 5, 8:])
    np.testing.assert_allclose(angles[2:5], 10000.0 ** -(np.arange(3) / 3), rtol=1e-6)
    assert (angles[[0, 1, 5, 6, 7]] == 0).all()


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
