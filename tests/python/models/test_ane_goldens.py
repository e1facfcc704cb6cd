"""The Neural Engine's layout against the same goldens as the GPU's (`test_goldens.py`), and the demo model's.

float16 is what is shipped: a PSNR of 40 dB. In float32 the same graph must be within 1e-4 of the golden's
largest value, which shows that the layout is right apart from rounding.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.emit.package import write_package
from tintype.emit.plan import PIPELINES, Plan
from tintype.layers import MILProgram
from tintype.models import sd3
from tintype.pipeline import Pipeline
from tintype.sinusoid import timestep_features
from tintype.weights import DiffusersFolder

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Golden = Callable[[str], Arrays]

PRECISIONS = ("float32", "float16")


def psnr(got: Array, expected: Array) -> float:
    """In dB, of the expected values' largest magnitude."""
    error = got.astype(np.float32) - expected
    return float(10 * np.log10(np.abs(expected).max() ** 2 / (error**2).mean()))


def check(got: Array, expected: Array, precision: str) -> None:
    assert got.dtype == np.dtype(precision)
    assert got.shape == expected.shape
    if precision == "float32":
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * float(np.abs(expected).max()))
    else:
        assert psnr(got, expected) >= 40


class Models:
    """Components of a checkpoint in the Neural Engine's layout, written and loaded one by one."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.precision, self.latent = plan.precision, plan.latent
        self.programs = {name: program for name, (program,) in plan.programs()}
        self.folder = folder

    def predict(self, name: str, **inputs: Array) -> dict[str, Array]:
        """Run a component on the engine; inputs in the dtypes that it asks for."""
        path = self.folder / f"{name}.mlpackage"
        if not path.exists():
            write_package(self.programs[name], path)
        typed = {s.name: inputs[s.name].astype(s.dtype) for s in self.programs[name].inputs}
        return tintype.load_model(path, backend="mlx").predict(typed)


def make_models(source: Path, folder: Path, precision: Any, batch: int) -> Models:
    plan = Plan.make(
        DiffusersFolder(source, PIPELINES),
        precision=precision,
        target="ane",
        batch=batch,
        sizes=[],
        components=None,
        max_sequence_length=None,
    )
    return Models(plan, folder)


@pytest.fixture(scope="module", params=PRECISIONS)
def models(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """sd3-medium-tiny with a denoiser for both rows of guidance, like the goldens."""
    return make_models(data / "sd3-medium-tiny", tmp_path_factory.mktemp("ane"), request.param, 2)


@pytest.mark.parametrize(("index", "component"), [(1, "text_encoder"), (2, "text_encoder_2")])
def test_clip(models: Models, golden: Golden, index: int, component: str) -> None:
    text = golden("sd3-medium-tiny/golden/text")
    out = models.predict(component, input_ids=text[f"ids_{index}"])
    check(out["hidden_states"], text[f"hidden_{index}"], models.precision)
    check(out["pooled"], text[f"pooled_{index}"], models.precision)


def test_t5(models: Models, golden: Golden) -> None:
    text = golden("sd3-medium-tiny/golden/text")
    out = models.predict("text_encoder_3", input_ids=text["ids_3"])
    check(out["hidden_states"], text["hidden_3"], models.precision)


def test_modulation_and_denoiser(models: Models, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/transformer")
    features = timestep_features(case["timestep"])
    rows = models.predict("modulation", timestep_features=features, pooled=case["pooled"])["modulation"]
    out = models.predict("denoiser", latent=case["latent"], context=case["context"], modulation=rows)
    check(out["velocity"], case["velocity"], models.precision)


def test_vae(models: Models, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/vae")
    latent = case["latent"] / models.latent.scale + models.latent.shift
    check(models.predict("vae_decoder", latent=latent)["image"], case["decoded"], models.precision)
    check(models.predict("vae_encoder", image=case["image"])["moments"], case["moments"], models.precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dual_attention_and_qk_norm(data: Path, golden: Golden, tmp_path: Path, precision: Any) -> None:
    """Stable Diffusion 3.5 medium's transformer: dual attention in blocks 0 and 1, RMS norm of q and k."""
    case = golden("sd3.5-medium-tiny/golden/transformer")
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "StableDiffusion3Pipeline", "transformer": ["diffusers", "SD3Transformer2DModel"]}'
    )
    (tmp_path / "transformer").symlink_to(data / "sd3.5-medium-tiny" / "transformer")
    source = DiffusersFolder(tmp_path, PIPELINES)
    config = sd3.SD3Config.from_json(source.config("transformer"), "transformer")
    weights = source.weights("transformer")
    latent, tokens = case["latent"].shape[2:], case["context"].shape[1]
    modulation = sd3.build_modulation(config, weights, precision=precision, batch=2, target="ane")
    denoiser = sd3.build_denoiser(
        config, weights, precision=precision, latent=latent, tokens=tokens, batch=2, target="ane"
    )
    weights.check()

    def run(program: MILProgram, name: str, **inputs: Array) -> dict[str, Array]:
        write_package(program, tmp_path / name)
        typed = {s.name: inputs[s.name].astype(s.dtype) for s in program.inputs}
        return tintype.load_model(tmp_path / name, backend="mlx").predict(typed)

    features = timestep_features(case["timestep"])
    rows = run(modulation, "m.mlpackage", timestep_features=features, pooled=case["pooled"])["modulation"]
    out = run(denoiser, "d.mlpackage", latent=case["latent"], context=case["context"], modulation=rows)
    check(out["velocity"], case["velocity"], precision)


def test_both_targets_have_the_same_interface(data: Path, ane: Bundle, sd3_half: Bundle) -> None:
    assert (ane.target, sd3_half.target) == ("ane", "gpu")
    for name, component in sd3_half.components.items():
        assert ane.component(name).inputs == component.inputs
        assert ane.component(name).outputs == component.outputs


def test_pictures_of_both_targets_agree(demo_ane: Bundle, demo_pipeline: Pipeline) -> None:
    """The demo model's picture through the float16 graphs of the Neural Engine and the float32 GPU graphs."""
    options: dict[str, Any] = {"seed": 7, "steps": 8}
    prompt = "a red circle above a blue square on a white background"
    expected = demo_pipeline.generate(prompt, **options)
    got = Pipeline.load(demo_ane, backend="mlx").generate(prompt, **options)
    first, second = (np.asarray(r.image, np.float32) for r in (got, expected))
    assert float(10 * np.log10(255**2 / ((first - second) ** 2).mean())) >= 40
    assert names.DENOISER in demo_ane.components
