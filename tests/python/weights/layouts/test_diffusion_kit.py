"""DiffusionKit's checkpoints: its own layout gives what the diffusers layout gives, and its 4 bits what MLX makes
of them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import convert
from tintype.bundle import Bundle
from tintype.errors import CheckpointError
from tintype.weights import Checkpoint, DiffusersFolder, OriginalFiles

from .diffusion_kit import autoencoder, quantized, transformer

Arrays = dict[str, np.ndarray[Any, Any]]

PIPELINES = ("StableDiffusion3Pipeline", "FluxPipeline")
WEIGHTS = "diffusion_pytorch_model.safetensors"
MODELS = ("sd3-medium-tiny", "sd3.5-large-tiny", "flux-dev-tiny", "flux-schnell-tiny")


def tensors_of(folder: Path, part: str) -> Arrays:
    return load_file(folder / part / WEIGHTS)


def write(folder: Path, model: str, weights: Arrays, vae: Arrays, flux_vae: Path | None = None) -> Path:
    """DiffusionKit's file: SD3's hold the autoencoder, FLUX's have Black Forest Labs' beside them."""
    folder.mkdir()
    if model.startswith("sd3"):
        weights = {f"model.diffusion_model.{k}": v for k, v in weights.items()}
        weights |= {f"first_stage_model.{k}": v for k, v in vae.items()}
    elif flux_vae is not None:
        shutil.copy(flux_vae, folder / "ae.safetensors")
    save_file(weights, folder / "model.safetensors")
    return folder / "model.safetensors"


def same(got: Checkpoint, expected: Checkpoint) -> None:
    assert set(got.tensors) == set(expected.tensors)
    for key, tensor in expected.tensors.items():
        value = tensor.array(np.float32)
        assert got.tensors[key].shape == tensor.shape, key
        np.testing.assert_array_equal(got.tensors[key].array(np.float32), value, key)
        pieces = np.concatenate(list(got.tensors[key].chunks(np.float32)))
        np.testing.assert_array_equal(pieces, value.reshape(-1), key)
        part = got.tensors[key].elements(3, value.size - 5, np.float32)
        np.testing.assert_array_equal(part, value.reshape(-1)[3:-5], key)


@pytest.mark.parametrize("model", MODELS)
def test_its_layout_is_the_diffusers_layout(data: Path, tmp_path: Path, model: str) -> None:
    ours = shutil.copytree(data / model, tmp_path / "diffusers")
    weights, vae = tensors_of(ours, "transformer"), tensors_of(ours, "vae")
    for key in weights:  # its layers have no such biases
        if key.endswith(("to_k.bias", "add_k_proj.bias")):
            weights[key] = np.zeros_like(weights[key])
    save_file(weights, ours / "transformer" / WEIGHTS)
    autoencoders = data / "flux-dev-tiny/original/ae.safetensors"
    file = write(tmp_path / "kit", model, transformer(weights), autoencoder(vae), autoencoders)
    expected, got = DiffusersFolder(ours, PIPELINES), OriginalFiles(file, ours)
    assert got.pipeline == expected.pipeline
    assert got.has("vae")
    same(got.weights("transformer"), expected.weights("transformer"))
    if model.startswith("sd3"):
        same(got.weights("vae"), expected.weights("vae"))
    known, implied = expected.config("transformer"), got.config("transformer")
    assert len(known.keys() & implied.keys()) > 8
    assert {k: v for k, v in implied.items() if known.get(k) not in (None, v)} == {}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("model", ["sd3.5-large-tiny", "flux-schnell-tiny"])
def test_four_bits(data: Path, tmp_path: Path, model: str, dtype: Any) -> None:
    """Every number is the one that MLX's dequantize gives in float32."""
    weights = transformer({k: v.astype(dtype) for k, v in tensors_of(data / model, "transformer").items()})
    vae = autoencoder(tensors_of(data / model, "vae"))
    for group in (64, 32):
        stored, exact = quantized(weights, group)
        if model.startswith("flux"):
            stored["pre_sdpa_rope.rope_embeddings"] = np.ones((1, 4, 8, 2, 2), np.float32)
        assert sum(key.endswith(".scales") for key in stored) > 30
        files = [write(tmp_path / f"{n}{group}", model, t, vae) for n, t in (("4", stored), ("x", exact))]
        got, expected = (OriginalFiles(file, data / model) for file in files)
        same(got.weights("transformer"), expected.weights("transformer"))


def test_a_bundle_of_it(data: Path, tmp_path: Path) -> None:
    """4-bit weights stream into the very bytes that the dequantized ones give."""
    model = "flux-schnell-tiny"
    stored, exact = quantized(transformer(tensors_of(data / model, "transformer")))
    made: list[Bundle] = []
    for name, weights in (("4", stored), ("x", exact)):
        file = write(tmp_path / name, model, weights, {}, data / "flux-dev-tiny/original/ae.safetensors")
        options: dict[str, Any] = {"tokenizers": data / model, "size": (128, 128), "components": ["denoiser"]}
        made.append(convert(file, tmp_path / f"{name}.bundle", **options))
    assert {n: c.sha256 for n, c in made[0].components.items()} == {
        n: c.sha256 for n, c in made[1].components.items()
    }


def test_other_bits_are_refused(data: Path, tmp_path: Path) -> None:
    weights = transformer(tensors_of(data / "sd3-medium-tiny", "transformer"))
    stored, _ = quantized(weights)
    name = "final_layer.linear"
    stored[f"{name}.scales"] = stored[f"{name}.biases"] = np.ones((64, 4), np.float32)
    file = write(tmp_path / "kit", "sd3-medium-tiny", stored, {})
    with pytest.raises(
        CheckpointError, match=r"linear\.weight is U32 \[64, 8\] with scales \[64, 4\].*4 bits in"
    ):
        OriginalFiles(file)
