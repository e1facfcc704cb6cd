"""What a run refuses: every message names the value and the remedy."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tintype.bundle import Bundle, Size
from tintype.errors import UsageError
from tintype.pipeline import Pipeline
from tintype.pipeline.request import GenerationRequest
from tintype.pipeline.settings import make_plan, stage_backends
from tintype.run import load_model

DEFAULTS = {"text_encoder": "auto", "denoiser": "auto", "vae": "auto"}


def plan(bundle: Bundle, prompt: Any = "x", **options: Any):
    return make_plan(bundle, GenerationRequest(prompt, **options), DEFAULTS)


STEPS = "expected an integer from 1 to 1000; 28 is this model's default"
GUIDANCE = "expected a number of at least 0 (1 or less: no guidance), at most 1e+35"
SEED = "expected an integer from 0 to 4294967295; leave it out for a random one"
LATENTS = "expected a float array of shape (1, 16, 16, 16)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, f"steps is 0, {STEPS}"),
        ({"steps": -3}, f"steps is -3, {STEPS}"),
        ({"steps": 1001}, f"steps is 1001, {STEPS}"),
        ({"steps": 2.0}, f"steps is 2.0, {STEPS}"),
        ({"steps": True}, f"steps is True, {STEPS}"),
        ({"guidance_scale": math.nan}, f"guidance_scale is nan, {GUIDANCE}"),
        ({"guidance_scale": math.inf}, f"guidance_scale is inf, {GUIDANCE}"),
        ({"guidance_scale": 10**400}, f"guidance_scale is {str(10**400)[:77]}..., {GUIDANCE}"),
        ({"seed": 10**5000}, f"seed is an integer of thousands of digits, {SEED}"),
        ({"guidance_scale": -1}, f"guidance_scale is -1, {GUIDANCE}"),
        ({"guidance_scale": 1e36}, f"guidance_scale is 1e+36, {GUIDANCE}"),
        ({"guidance_scale": "7"}, f"guidance_scale is '7', {GUIDANCE}"),
        ({"seed": -1}, f"seed is -1, {SEED}"),
        ({"seed": 2**32}, f"seed is 4294967296, {SEED}"),
        ({"seed": 1.5}, f"seed is 1.5, {SEED}"),
        ({"size": (100, 128)}, "width is 100, expected a multiple of 16, such as 96"),
        ({"size": (128, 3)}, "height is 3, expected a multiple of 16, such as 16"),
        ({"size": (256, 128)}, "size is 256x128, but the model sd3-medium-tiny was converted for 128x128: "
         "leave size out, or convert the model again with --size 256x128"),
        ({"size": 128}, "size is 128, expected (width, height) in pixels, as in (128, 128)"),
        ({"size": (0, 16)}, "size is (0, 16), expected (width, height) in pixels, as in (128, 128)"),
        ({"latents": np.zeros((1, 4, 16, 16), np.float32)}, f"latents have shape (1, 4, 16, 16), {LATENTS}"),
        ({"latents": np.zeros((1, 16, 16, 16), np.int32)}, f"latents have dtype int32, {LATENTS}"),
        ({"latents": np.full((1, 16, 16, 16), np.nan)},
         f"latents hold NaN or infinite values, {LATENTS} of finite values"),
        ({"latents": "noise"}, f"latents have dtype <U5, {LATENTS}"),
        ({"backend": "tpu"}, "backend is 'tpu', expected one of 'auto', 'coreml', 'mlx'"),
        ({"backend": {"unet": "mlx"}},
         "backend names the stage 'unet', expected stages among 'text_encoder', 'denoiser', 'vae'"),
        ({"backend": {"vae": "tpu"}}, "backend is 'tpu', expected one of 'auto', 'coreml', 'mlx'"),
        ({"negative_prompt": None}, "negative_prompt is a NoneType, expected a string"),
        ({"prompt": 7}, "prompt is a int, expected a string"),
        ({"prompt": "\ud800"},
         "prompt is not valid Unicode (surrogates not allowed): remove lone surrogates"),
    ],
)  # fmt: skip
def test_refusals(sd3: Bundle, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(sd3, **options)
    assert str(caught.value) == message


def test_a_bundles_own_size_is_never_refused(sd3: Bundle) -> None:
    """A VAE of fewer stages makes pictures whose sides 16 does not divide."""
    small = replace(sd3, size=Size(72, 64), latent=replace(sd3.latent, width=18, height=16, downscale=4))
    made = plan(small, size=(72, 64))
    assert (made.settings.width, made.settings.height) == (72, 64)


def test_the_pipeline_refuses_before_it_runs(sd3: Bundle) -> None:
    pipeline = Pipeline.load(sd3)
    with pytest.raises(UsageError, match="steps is 0"):
        pipeline.steps("x", steps=0)  # not iterated
    with pytest.raises(UsageError, match="units is 'npu'"):
        Pipeline.load(sd3, units="npu")
    with pytest.raises(UsageError, match="backend is 'cuda'"):
        Pipeline.load(sd3, backend="cuda")


def test_defaults_are_the_bundles(sd3: Bundle) -> None:
    made = plan(sd3)
    assert (made.settings.steps, made.settings.guidance_scale) == (28, 7.0)
    assert (made.settings.width, made.settings.height) == (128, 128)
    assert made.settings.use_t5
    assert made.guided
    assert made.latents.shape == (1, 16, 16, 16)
    assert 0 <= made.settings.seed < 2**32


def test_numpy_numbers_are_numbers(sd3: Bundle) -> None:
    made = plan(sd3, steps=np.int64(3), seed=np.uint32(5), guidance_scale=np.float32(2), size=[128, 128])
    assert (made.settings.steps, made.settings.seed, made.settings.guidance_scale) == (3, 5, 2.0)
    assert type(made.settings.steps) is int


@pytest.mark.parametrize("scale", [0, 0.5, 1])
def test_without_guidance_there_is_no_negative_pass(sd3: Bundle, scale: float) -> None:
    assert not plan(sd3, guidance_scale=scale).guided


def test_given_noise_is_copied_and_has_no_seed(sd3: Bundle) -> None:
    noise = np.ones((1, 16, 16, 16), np.float64)
    made = plan(sd3, latents=noise)
    assert made.settings.seed is None
    assert made.latents.dtype == np.float32
    assert not np.shares_memory(made.latents, noise)


def test_backends_per_stage() -> None:
    assert stage_backends(None, DEFAULTS) == DEFAULTS
    assert set(stage_backends("mlx", DEFAULTS).values()) == {"mlx"}
    assert stage_backends({"denoiser": "coreml"}, DEFAULTS) == DEFAULTS | {"denoiser": "coreml"}


def test_units_per_stage(sd3: Bundle) -> None:
    assert set(plan(sd3).units.values()) == {"all"}
    assert set(plan(sd3, units="cpu").units.values()) == {"cpu"}
    assert plan(sd3, units={"vae": "gpu"}).units == {"text_encoder": "all", "denoiser": "all", "vae": "gpu"}
    with pytest.raises(
        UsageError, match="units names the stage 'unet', expected stages among 'text_encoder'"
    ):
        plan(sd3, units={"unet": "gpu"})
    with pytest.raises(UsageError, match="units is 'npu', expected one of 'all'"):
        plan(sd3, units={"vae": "npu"})


def test_units_of_a_run_reach_the_models(sd3: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    from tintype.pipeline import stages

    seen = []

    def load(path: Any, backend: str, units: str, time_box: float | None) -> Any:
        seen.append((path.stem, units))
        return load_model(path, backend, units)

    monkeypatch.setattr(stages, "load_model", load)
    with Pipeline.load(sd3, backend="mlx", units={"vae": "cpu"}) as pipeline:
        pipeline.generate("x", steps=1, units={"denoiser": "ane"})
        assert dict(seen)["vae_decoder"] == "cpu"
        assert dict(seen)["denoiser"] == dict(seen)["modulation"] == "ane"
        assert dict(seen)["text_encoder"] == "all"
        seen.clear()
        pipeline.generate("x", steps=1)
    assert sorted(seen) == [("denoiser", "all"), ("modulation", "all")]
