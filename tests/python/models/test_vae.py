"""The autoencoder: configs, the optional parts, and float16's range."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.bundle import Bundle
from tintype.emit.package import write_package
from tintype.errors import CheckpointError
from tintype.layers import MILProgram
from tintype.models import vae
from tintype.pipeline import Pipeline

Array = np.ndarray[Any, Any]
Config = Callable[..., dict[str, Any]]
MakeBundle = Callable[..., Bundle]

TARGETS = ("gpu", "ane")
HALVES = {"image": vae.build_decoder, "moments": vae.build_encoder}


def psnr(got: Array, expected: Array) -> float:
    """In dB, of the expected values' largest magnitude."""
    error = got.astype(np.float32) - expected
    return float(10 * np.log10(np.abs(expected).max() ** 2 / (error**2).mean()))


def run(program: MILProgram, package: Path) -> Array:
    """The program's output for the same random input in [−1, 1] each time, on the engine."""
    write_package(program, package)
    (spec,) = program.inputs
    x = np.random.default_rng(5).uniform(-1, 1, spec.shape).astype(spec.dtype)
    (out,) = tintype.load_model(package, backend="mlx").predict({spec.name: x}).values()
    return out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"act_fn": "relu"}, "vae/config.json: act_fn is 'relu', expected one of 'silu'"),
        ({"norm_num_groups": 5}, "block_out_channels is 16, expected a multiple of norm_num_groups 5"),
        ({"up_block_types": ["AttnUpDecoderBlock2D"] * 4}, "up_block_types is .* 4 times UpDecoderBlock2D"),
        ({"block_out_channels": []}, r"block_out_channels is \(\), expected at least one stage"),
        ({"in_channels": 4}, r"in_channels, out_channels is \(4, 3\)"),
        ({"scaling_factor": "1"}, "scaling_factor is '1', expected a finite number"),
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


@pytest.fixture
def loud(weights: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Weights that take convolutions and the residual stream past 65504."""
    quiet = weights.value

    def value(key: str) -> Any:
        factor = 2e4 if key.endswith(("conv_in.weight", "conv1.weight", "conv2.weight")) else 1
        return quiet(key) * np.float32(factor)

    monkeypatch.setattr(weights, "value", value)
    return weights


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("output", HALVES)
def test_values_past_the_range_of_float16(
    config: Config, loud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, target: Any
) -> None:
    build: Any = HALVES[output]
    settings = vae.VAEConfig.from_json(config("vae"), "vae")
    common: dict[str, Any] = {"latent": (4, 6), "target": target}
    wide = run(build(settings, loud, precision="float32", **common), tmp_path / "wide.mlpackage")
    half = run(build(settings, loud, precision="float16", **common), tmp_path / "half.mlpackage")
    assert np.isfinite(half).all()
    assert psnr(half, wide) >= 40
    monkeypatch.setattr(vae, "STREAM_SCALE", 1)  # what the scale is for
    bare = run(build(settings, loud, precision="float16", **common), tmp_path / "bare.mlpackage")
    assert not np.isfinite(bare).all()


@pytest.mark.parametrize("target", TARGETS)
def test_the_demo_model_encodes_its_own_picture(
    make_bundle: MakeBundle, demo: Bundle, demo_pipeline: Pipeline, target: str
) -> None:
    """Its encoder's shortcuts reach 67,621 there."""
    drawn = demo_pipeline.generate("a red circle above a blue square on a white background", seed=7, steps=8)
    pixels = np.asarray(drawn.image, np.float32).transpose(2, 0, 1)[None]  # (H, W, 3) → (1, 3, H, W)

    def moments(bundle: Bundle) -> Array:
        (spec,) = bundle.component("vae_encoder").inputs
        model = tintype.load_model(bundle.package_paths("vae_encoder")[0], backend="mlx")
        return model.predict({spec.name: (pixels / 127.5 - 1).astype(spec.dtype)})["moments"]

    got = moments(make_bundle("demo", "float16", 1, target))
    assert np.isfinite(got).all()
    assert psnr(got, moments(demo)) >= 40
