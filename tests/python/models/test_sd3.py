"""The MMDiT: configs, the order of the modulation rows, the crop of the position table."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tintype.errors import CheckpointError, ConversionError
from tintype.models import sd3

Config = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(config: Config) -> sd3.SD3Config:
    """sd3-medium-tiny: 3 blocks of width 64, position table 24 × 24."""
    return sd3.SD3Config.from_json(config("transformer"), "transformer")


def test_modulation_layout(settings: sd3.SD3Config) -> None:
    rows = [(n.name, n.begin, n.rows) for n in sd3.modulation_layout(settings).values()]
    assert rows == [
        ("transformer_blocks.0.norm1", 0, 6),
        ("transformer_blocks.0.norm1_context", 6, 6),
        ("transformer_blocks.1.norm1", 12, 6),
        ("transformer_blocks.1.norm1_context", 18, 6),
        ("transformer_blocks.2.norm1", 24, 6),
        ("transformer_blocks.2.norm1_context", 30, 2),
        ("norm_out", 32, 2),
    ]
    assert sd3.modulation_rows(settings) == 12 * 3 - 2


def test_dual_attention_adds_three_rows_a_block(config: Config) -> None:
    settings = sd3.SD3Config.from_json(config("transformer", dual_attention_layers=[1, 0]), "transformer")
    assert settings.dual_attention == (0, 1)
    assert sd3.modulation_rows(settings) == 12 * 3 - 2 + 2 * 3


def test_scale_rows_hold_one_plus_scale(settings: sd3.SD3Config, weights: Any) -> None:
    program = sd3.build_modulation(settings, weights, precision="float32")
    bias = program.weights["transformer_blocks_2_norm1_context_linear_bias"].array(np.float32)
    raw = weights.value("transformer_blocks.2.norm1_context.linear.bias")
    np.testing.assert_array_equal(bias[:64], raw[:64] + 1)
    np.testing.assert_array_equal(bias[64:], raw[64:])
    bias = program.weights["transformer_blocks_0_norm1_linear_bias"].array(np.float32).reshape(6, 64)
    raw = weights.value("transformer_blocks.0.norm1.linear.bias").reshape(6, 64)
    np.testing.assert_array_equal(bias, raw + np.float32([[0], [1], [0], [0], [1], [0]]))


@pytest.mark.parametrize("latent", [(16, 16), (12, 20), (48, 48)])
def test_position_table_is_the_centre(settings: sd3.SD3Config, weights: Any, latent: tuple[int, int]) -> None:
    program = sd3.build_denoiser(settings, weights, precision="float32", latent=latent, tokens=8)
    rows, columns = latent[0] // 2, latent[1] // 2
    grid = weights.value("pos_embed.pos_embed").reshape(24, 24, 64)
    top, left = (24 - rows) // 2, (24 - columns) // 2
    expected = grid[top : top + rows, left : left + columns].reshape(1, -1, 64)
    np.testing.assert_array_equal(
        program.weights[f"pos_embed_pos_embed_{rows}x{columns}"].array(np.float32), expected
    )


def test_inputs_and_outputs(settings: sd3.SD3Config, weights: Any) -> None:
    modulation = sd3.build_modulation(settings, weights, precision="float16", batch=2)
    assert [(s.name, s.dtype, s.shape) for s in (*modulation.inputs, *modulation.outputs)] == [
        ("timestep_features", "float16", (2, 256)),
        ("pooled", "float16", (2, 80)),
        ("modulation", "float16", (2, 34, 64)),
    ]
    denoiser = sd3.build_denoiser(
        settings, weights, precision="float16", latent=(12, 20), tokens=154, batch=2
    )
    assert [(s.name, s.dtype, s.shape) for s in (*denoiser.inputs, *denoiser.outputs)] == [
        ("latent", "float16", (2, 16, 12, 20)),
        ("context", "float16", (2, 154, 96)),
        ("modulation", "float16", (2, 34, 64)),
        ("velocity", "float16", (2, 16, 12, 20)),
    ]


def test_per_step_graph_has_no_modulation_weights(settings: sd3.SD3Config, weights: Any) -> None:
    program = sd3.build_denoiser(settings, weights, precision="float16", latent=(16, 16), tokens=154)
    assert not [n for n in program.weights if "norm1" in n or "norm_out" in n or "time_text" in n]


def test_float16_graph_has_no_float32_constants(settings: sd3.SD3Config, weights: Any) -> None:
    program = sd3.build_denoiser(settings, weights, precision="float16", latent=(16, 16), tokens=154)
    dtypes = {
        np.asarray(op.outputs[0].val).dtype
        for op in program.program.functions["main"].operations
        if op.op_type == "const"
    }
    assert np.dtype(np.float32) not in dtypes


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        ((15, 16), "height is 15, expected a positive multiple of the patch 2"),
        ((16, 50), "width is 50.*ends at 48"),
    ],
)
def test_bad_sizes(settings: sd3.SD3Config, weights: Any, latent: tuple[int, int], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        sd3.build_denoiser(settings, weights, precision="float32", latent=latent, tokens=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "FluxTransformer2DModel"}, "_class_name is 'FluxTransformer2DModel'"),
        ({"caption_projection_dim": 65}, "caption_projection_dim is 65, expected .* 64"),
        ({"qk_norm": "layer_norm"}, "qk_norm is 'layer_norm', expected one of None, 'rms_norm'"),
        (
            {"dual_attention_layers": [3]},
            r"dual_attention_layers is \(3,\), expected indices below num_layers 3",
        ),
        ({"num_layers": "3"}, "num_layers is '3', expected an integer"),
        ({"patch_size": 0}, "patch_size is 0"),
    ],
)
def test_bad_configs(config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        sd3.SD3Config.from_json(config("transformer", **changes), "transformer")
