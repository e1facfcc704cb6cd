"""What the engine joins in the graphs that this package emits: a layer that is emitted in another way shows here."""

import collections

import numpy as np
import pytest

from tintype.emit.package import write_package
from tintype.models import flux, sd3, t5, vae

from . import ctypes_api

SD3 = sd3.SD3Config(2, 2, 16, 4, 4, 2, 24, 16, 8, None, ())
SD35 = sd3.SD3Config(2, 2, 16, 4, 4, 2, 24, 16, 8, "rms_norm", (0,))
FLUX = flux.FluxConfig(1, 1, 2, 16, 16, 16, 24, 16, False, (4, 6, 6))
VAE = vae.VAEConfig(3, 4, (8, 16), 1, 4, 1.0, 0.0, True, False, False)
T5 = t5.T5Config(50, 24, 8, 2, 40, 1, 8, 16, 1e-6)


def denoiser(module, config):
    return lambda weights, target: module.build_denoiser(
        config, weights, precision="float16", latent=(8, 8), tokens=5, target=target
    )


GRAPHS = {
    "sd3": denoiser(sd3, SD3),
    "sd3.5": denoiser(sd3, SD35),
    "flux": denoiser(flux, FLUX),
    "vae decoder": lambda weights, target: vae.build_decoder(
        VAE, weights, precision="float16", latent=(4, 4), target=target
    ),
    "vae encoder": lambda weights, target: vae.build_encoder(
        VAE, weights, precision="float16", latent=(4, 4), target=target
    ),
    "t5": lambda weights, target: t5.build(T5, weights, precision="float16", tokens=9, target=target),
}

EXPECTED = {
    ("sd3", "gpu"): {
        "layer_norm + mul + add": 8,
        "linear + gelu + mul": 3,
        "linear + mul": 1,
        "linear + mul + add": 6,
    },
    ("sd3", "ane"): {
        "conv + gelu + mul": 3,
        "conv + mul": 1,
        "conv + mul + add": 6,
        "layer_norm + mul + add": 8,
    },
    ("sd3.5", "gpu"): {
        "layer_norm + mul + add": 7,
        "linear + gelu + mul": 3,
        "linear + mul": 2,
        "linear + mul + add": 5,
        "linear + mul + add + add": 1,
        "rms_norm + cast + mul": 10,
    },
    ("sd3.5", "ane"): {
        "conv + gelu + mul": 3,
        "conv + mul": 2,
        "conv + mul + add": 5,
        "conv + mul + add + add": 1,
        "layer_norm + mul + add": 7,
        "scaled_rms_norm + mul": 10,
    },
    ("flux", "gpu"): {
        "layer_norm + cast + mul + add": 6,
        "linear + cast": 1,
        "linear + cast + mul + add": 5,
        "linear + gelu + mul": 3,
        "rms_norm + cast + mul": 6,
    },
    ("flux", "ane"): {
        "conv + gelu + mul": 3,
        "conv + mul": 1,
        "conv + mul + add": 5,
        "layer_norm + mul + add": 6,
        "scaled_rms_norm + mul": 6,
    },
    ("vae decoder", "gpu"): {
        "conv + add": 6,
        "group_norm + mul + add": 1,
        "group_norm + mul + add + silu": 1,
        "group_norm + mul + add + silu + mul": 12,
    },
    ("vae decoder", "ane"): {
        "conv + add": 6,
        "conv + mul": 1,
        "group_norm + mul + add": 1,
        "group_norm + mul + add + silu": 1,
        "group_norm + mul + add + silu + mul": 12,
    },
    ("vae encoder", "gpu"): {
        "conv + add": 4,
        "group_norm + mul + add": 1,
        "group_norm + mul + add + silu": 1,
        "group_norm + mul + add + silu + mul": 8,
    },
    ("vae encoder", "ane"): {
        "conv + add": 4,
        "conv + mul": 1,
        "group_norm + mul + add": 1,
        "group_norm + mul + add + silu": 1,
        "group_norm + mul + add + silu + mul": 8,
    },
    ("t5", "gpu"): {
        "linear + cast + add": 1,
        "linear + cast + mul + add": 1,
        "linear + gelu + mul": 1,
        "linear + mul": 1,
        "rms_norm + cast + mul": 3,
    },
    ("t5", "ane"): {
        "conv + add": 2,
        "conv + gelu + mul": 1,
        "conv + mul": 1,
        "scaled_rms_norm + mul": 3,
    },
}


def opened(graph, target, folder, weights):
    path = folder / "net.mlpackage"
    write_package(GRAPHS[graph](weights, target), path)
    return ctypes_api.Model(path)


def inputs_of(model):
    rng = np.random.default_rng(1)
    return {
        name: rng.integers(0, 50, shape).astype(dtype)
        if np.issubdtype(dtype, np.integer)
        else rng.standard_normal(shape).astype(dtype)
        for name, (dtype, shape, *_) in model.features(ctypes_api.INPUT).items()
    }


@pytest.mark.parametrize("target", ["gpu", "ane"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_what_is_joined_and_that_it_changes_next_to_nothing(graph, target, tmp_path, monkeypatch, weights):
    model = opened(graph, target, tmp_path, weights)
    found = model.metadata["functions"]["main"]["fused"]
    monkeypatch.setenv("TINTYPE_FUSION", "0")
    apart = ctypes_api.Model(tmp_path / "net.mlpackage")
    inputs = inputs_of(model)
    results, references = model.predict(inputs), apart.predict(inputs)
    for name, value in results.items():
        reference = references[name].astype(np.float64)
        assert np.abs(value - reference).max() <= 4e-3 * np.abs(reference).max()
    assert collections.Counter(found) == collections.Counter(EXPECTED[graph, target])
