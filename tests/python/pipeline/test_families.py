"""Every family from its checkpoint to the picture, against the goldens that diffusers gave.

Errors are relative to the golden's largest magnitude: 1e-4 in float32 (about 5e-6 is seen); float16 is held to
a PSNR of 40 dB.
"""

import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest

from tintype import names
from tintype.bundle import Bundle
from tintype.errors import UsageError
from tintype.pipeline import Conditioned, GenerationResult, Pipeline, Step
from tintype.pipeline.stages import StageModels
from tintype.sinusoid import guidance_features, timestep_features

Array = np.ndarray[Any, Any]

CLOSE = 1e-4
PSNR_HALF = 40.0

FLUX = ("flux-dev-tiny", "flux-schnell-tiny")
SD35 = ("sd3.5-medium-tiny", "sd3.5-large-tiny")


def error(value: Array, expected: Array) -> float:
    assert value.shape == expected.shape
    return float(np.abs(value - expected).max() / np.abs(expected).max())


def psnr(value: Array, expected: Array) -> float:
    """Decibels: the golden's largest magnitude against the root mean square error."""
    return 20 * math.log10(np.abs(expected).max() / np.sqrt(np.mean((value - expected) ** 2)))


def unpacked(tokens: Array, height: int, width: int) -> Array:
    """FLUX's tokens [.., h/2·w/2, 4·C] as a latent [.., C, h, w] (diffusers' `_unpack_latents`)."""
    *lead, _, packed = tokens.shape
    grid = tokens.reshape(*lead, height // 2, width // 2, packed // 4, 2, 2)
    axes = tuple(range(len(lead)))
    n = len(lead)
    return grid.transpose(*axes, n + 2, n, n + 3, n + 1, n + 4).reshape(*lead, packed // 4, height, width)


def steps_of(case: dict[str, Array]) -> Array:
    """The latent after every step, [N, 1, C, h, w]."""
    if "latents" in case:
        return case["latents"]
    return unpacked(case["latents_packed"], *case["initial_latent"].shape[2:])


def run(pipeline: Pipeline, data: pathlib.Path, name: str, initial: Array) -> list[Any]:
    asked = json.loads((data / name / "golden" / "generate.json").read_text())
    negative = asked.get("negative_prompt", "")
    return list(
        pipeline.steps(
            asked["prompt"],
            negative,
            steps=asked["steps"],
            guidance_scale=asked["guidance_scale"],
            latents=initial,
        )
    )


@pytest.mark.parametrize("name", FLUX)
def test_flux_text_encoders(name: str, make_bundle, golden) -> None:
    text = golden(f"{name}/golden/text")
    models = StageModels(make_bundle(name), "all")
    pooled = models.run(names.TEXT_ENCODER, "mlx", {names.INPUT_IDS: text["ids_1"]})[names.POOLED]
    assert error(pooled, text["pooled"]) < CLOSE
    hidden = models.run(names.TEXT_ENCODER_3, "mlx", {names.INPUT_IDS: text["ids_2"]})[names.HIDDEN_STATES]
    assert error(hidden, text["prompt_embeds"]) < CLOSE


def flux_velocity(bundle: Bundle, case: dict[str, Array]) -> Array:
    models = StageModels(bundle, "all")
    # The golden's timestep is σ.
    features = timestep_features(1000 * case["timestep"])
    inputs = {names.TIMESTEP_FEATURES: features, names.POOLED: case["pooled"]}
    if names.GUIDANCE_FEATURES in {spec.name for spec in bundle.component(names.MODULATION).inputs}:
        inputs[names.GUIDANCE_FEATURES] = guidance_features(case["guidance"])
    rows = models.run(names.MODULATION, "mlx", inputs)[names.MODULATION_ROWS]
    inputs = {names.LATENT: case["latent"], names.CONTEXT: case["context"], names.MODULATION_ROWS: rows}
    return models.run(names.DENOISER, "mlx", inputs)[names.VELOCITY]


@pytest.mark.parametrize("name", FLUX)
def test_flux_velocity(name: str, make_bundle, golden) -> None:
    case = golden(f"{name}/golden/transformer")
    assert error(flux_velocity(make_bundle(name), case), case["velocity"]) < CLOSE
    for target in ("gpu", "ane"):
        bundle = make_bundle(name, "float16", 1, target)
        assert psnr(flux_velocity(bundle, case), case["velocity"]) >= PSNR_HALF


@pytest.mark.parametrize("name", FLUX + SD35)
def test_vae(name: str, make_bundle, golden) -> None:
    case, bundle = golden(f"{name}/golden/vae"), make_bundle(name)
    models = StageModels(bundle, "all")
    scaled = case["latent"] / np.float32(bundle.latent.scale) + np.float32(bundle.latent.shift)
    assert (
        error(models.run(names.VAE_DECODER, "mlx", {names.LATENT: scaled})["image"], case["decoded"]) < CLOSE
    )
    moments = models.run(names.VAE_ENCODER, "mlx", {names.IMAGE: case["image"]})[names.MOMENTS]
    assert error(moments, case["moments"]) < CLOSE


@pytest.mark.parametrize("name", FLUX + SD35)
def test_every_step_of_a_run(name: str, make_bundle, golden, data: pathlib.Path) -> None:
    case, text = golden(f"{name}/golden/generate"), golden(f"{name}/golden/text")
    with Pipeline.load(make_bundle(name), backend="mlx") as pipeline:
        conditioned, *steps, result = run(pipeline, data, name, case["initial_latent"])
    assert isinstance(conditioned, Conditioned)
    assert isinstance(result, GenerationResult)
    assert error(conditioned.positive.context, text["prompt_embeds"]) < CLOSE
    assert error(conditioned.positive.pooled, text["pooled"]) < CLOSE
    assert (conditioned.negative is None) == (name in FLUX)
    assert np.abs(conditioned.schedule.sigmas - case["sigmas"]).max() <= 1e-6
    assert np.abs(conditioned.schedule.timesteps - case["timesteps"]).max() <= 1e-3
    for step, expected in zip(steps, steps_of(case), strict=True):
        assert isinstance(step, Step)
        assert error(step.latents, expected) < CLOSE
    assert error(result.latents, case["final_latent"]) < CLOSE
    assert error(result.decoded, case["image"]) < CLOSE


@pytest.mark.parametrize("name", FLUX + SD35)
def test_half_precision(name: str, make_bundle, golden, data: pathlib.Path) -> None:
    case = golden(f"{name}/golden/generate")
    with Pipeline.load(make_bundle(name, "float16"), backend="mlx") as pipeline:
        result = run(pipeline, data, name, case["initial_latent"])[-1]
    assert psnr(result.latents, case["final_latent"]) >= PSNR_HALF
    assert psnr(result.decoded, case["image"]) >= PSNR_HALF


def test_guidance_is_an_input_of_dev_and_nothing_to_schnell(make_bundle) -> None:
    dev, schnell = (Pipeline.load(make_bundle(name), backend="mlx") for name in FLUX)
    with dev, schnell:
        one, other = (dev.generate("a", steps=1, seed=1, guidance_scale=g).latents for g in (1.5, 6.0))
        assert error(one, other) > 1e-3
        one, other = (schnell.generate("a", steps=1, seed=1, guidance_scale=g).latents for g in (0.0, 6.0))
        np.testing.assert_array_equal(one, other)


def test_what_flux_does_not_have(make_bundle) -> None:
    with Pipeline.load(make_bundle("flux-schnell-tiny"), backend="mlx") as pipeline:
        with pytest.raises(UsageError, match="use_t5 is False, but flux-schnell-tiny is of the family flux"):
            pipeline.generate("a", use_t5=False)
        with pytest.warns(UserWarning, match="the negative prompt has no influence"):
            pipeline.generate("a", "b", steps=1, seed=1)
