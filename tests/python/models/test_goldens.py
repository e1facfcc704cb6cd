"""Every stage of the tiny pipelines against PyTorch's numbers, through packages and the engine.

The goldens come from tests/data/scripts/make_reference.py (PyTorch 2.13, diffusers 0.42, transformers 5.23).
float32 is held to 1e-4 of the golden's largest value, float16 to a PSNR of 40 dB. Both layouts are: the
Neural Engine's also in float32, which shows that the graph is right apart from rounding.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.bundle import Bundle
from tintype.emit.package import write_package
from tintype.layers import MILProgram
from tintype.models import sd3
from tintype.sinusoid import timestep_features
from tintype.weights import DiffusersFolder

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
MakeBundle = Callable[..., Bundle]
Golden = Callable[[str], Arrays]

PRECISIONS = ("float32", "float16")


def check(got: Array, expected: Array, precision: str) -> None:
    """Hold `got` to the bar of its precision."""
    assert got.dtype == np.dtype(precision)
    assert got.shape == expected.shape
    peak = float(np.abs(expected).max())
    error = got.astype(np.float32) - expected
    if precision == "float32":
        assert float(np.abs(error).max()) <= 1e-4 * peak
    else:
        assert 10 * np.log10(peak**2 / float((error**2).mean())) >= 40


def predict(bundle: Bundle, component: str, **inputs: Array) -> dict[str, Array]:
    """Run a component on the engine; inputs in the dtypes that it asks for."""
    model = tintype.load_model(bundle.package_paths(component)[0], backend="mlx")
    specs = bundle.component(component).inputs
    assert {s.name for s in specs} == set(inputs)
    return model.predict({s.name: inputs[s.name].astype(s.dtype) for s in specs})


@pytest.fixture(scope="module", params=PRECISIONS)
def bundle(request: pytest.FixtureRequest, make_bundle: MakeBundle) -> Bundle:
    """sd3-medium-tiny with a denoiser for both rows of guidance, like the goldens."""
    return make_bundle("sd3-medium-tiny", request.param, 2)


@pytest.mark.parametrize(("index", "component"), [(1, "text_encoder"), (2, "text_encoder_2")])
def test_clip(bundle: Bundle, golden: Golden, index: int, component: str) -> None:
    text = golden("sd3-medium-tiny/golden/text")
    out = predict(bundle, component, input_ids=text[f"ids_{index}"])
    check(out["hidden_states"], text[f"hidden_{index}"], bundle.precision)
    check(out["pooled"], text[f"pooled_{index}"], bundle.precision)


def test_t5(bundle: Bundle, golden: Golden) -> None:
    text = golden("sd3-medium-tiny/golden/text")
    out = predict(bundle, "text_encoder_3", input_ids=text["ids_3"])
    check(out["hidden_states"], text["hidden_3"], bundle.precision)


def test_modulation_and_denoiser(bundle: Bundle, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/transformer")
    features = timestep_features(case["timestep"])
    rows = predict(bundle, "modulation", timestep_features=features, pooled=case["pooled"])["modulation"]
    out = predict(bundle, "denoiser", latent=case["latent"], context=case["context"], modulation=rows)
    check(out["velocity"], case["velocity"], bundle.precision)


def test_vae_decoder(bundle: Bundle, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/vae")
    latent = case["latent"] / bundle.latent.scale + bundle.latent.shift
    check(predict(bundle, "vae_decoder", latent=latent)["image"], case["decoded"], bundle.precision)


def test_vae_encoder(bundle: Bundle, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/vae")
    check(predict(bundle, "vae_encoder", image=case["image"])["moments"], case["moments"], bundle.precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dual_attention_and_qk_norm(data: Path, golden: Golden, tmp_path: Path, precision: Any) -> None:
    """Stable Diffusion 3.5 medium's transformer: dual attention in blocks 0 and 1, RMS norm of q and k."""
    folder = data / "sd3.5-medium-tiny"
    case = golden("sd3.5-medium-tiny/golden/transformer")
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "StableDiffusion3Pipeline", "transformer": ["diffusers", "SD3Transformer2DModel"]}'
    )
    (tmp_path / "transformer").symlink_to(folder / "transformer")
    source = DiffusersFolder(tmp_path, ("StableDiffusion3Pipeline",))
    config = sd3.SD3Config.from_json(source.config("transformer"), "transformer")
    assert config.dual_attention == (0, 1)
    assert config.qk_norm == "rms_norm"
    weights = source.weights("transformer")
    latent, tokens = case["latent"].shape[2:], case["context"].shape[1]
    modulation = sd3.build_modulation(config, weights, precision=precision, batch=2)
    denoiser = sd3.build_denoiser(config, weights, precision=precision, latent=latent, tokens=tokens, batch=2)
    weights.check()

    def run(program: MILProgram, name: str, **inputs: Array) -> dict[str, Array]:
        write_package(program, tmp_path / name)
        typed = {s.name: inputs[s.name].astype(s.dtype) for s in program.inputs}
        return tintype.load_model(tmp_path / name, backend="mlx").predict(typed)

    features = timestep_features(case["timestep"])
    rows = run(modulation, "m.mlpackage", timestep_features=features, pooled=case["pooled"])["modulation"]
    out = run(denoiser, "d.mlpackage", latent=case["latent"], context=case["context"], modulation=rows)
    check(out["velocity"], case["velocity"], precision)
