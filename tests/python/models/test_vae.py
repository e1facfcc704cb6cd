"""The autoencoder: configs, and the optional parts."""

from collections.abc import Callable
from typing import Any

import pytest

from tintype.errors import CheckpointError
from tintype.models import vae

Config = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"act_fn": "relu"}, "vae/config.json: act_fn is 'relu', expected one of 'silu'"),
        ({"norm_num_groups": 5}, "block_out_channels is 16, expected a multiple of norm_num_groups 5"),
        ({"up_block_types": ["AttnUpDecoderBlock2D"] * 4}, "up_block_types is .* 4 times UpDecoderBlock2D"),
        ({"block_out_channels": []}, r"block_out_channels is \(\), expected at least one stage"),
        ({"in_channels": 4}, r"in_channels, out_channels is \(4, 3\)"),
        ({"scaling_factor": "1"}, "scaling_factor is '1', expected a number"),
    ],
)
def test_bad_configs(config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        vae.VAEConfig.from_json(config("vae", **changes), "vae")


def test_convolutions_at_the_latent(config: Config, weights: Any) -> None:
    settings = vae.VAEConfig.from_json(config("vae", use_quant_conv=True, use_post_quant_conv=True), "vae")
    decoder = vae.build_decoder(settings, weights, precision="float16", latent=(4, 6))
    assert weights.asked["post_quant_conv.weight"] == (16, 16, 1, 1)
    assert [(s.name, s.shape) for s in decoder.outputs] == [("image", (1, 3, 32, 48))]
    encoder = vae.build_encoder(settings, weights, precision="float16", latent=(4, 6))
    assert weights.asked["quant_conv.weight"] == (32, 32, 1, 1)
    assert [(s.name, s.shape) for s in encoder.outputs] == [("moments", (1, 32, 4, 6))]


def test_without_attention_in_the_middle(config: Config, weights: Any) -> None:
    settings = vae.VAEConfig.from_json(config("vae", mid_block_add_attention=False), "vae")
    vae.build_decoder(settings, weights, precision="float32", latent=(4, 4))
    assert not [k for k in weights.asked if "attentions" in k]


def test_shift_may_be_absent(config: Config) -> None:
    assert vae.VAEConfig.from_json(config("vae", shift_factor=None), "vae").shift == 0
