"""Publishers' single files: the same bundle as from the Hugging Face layout, and what they may lack.

`original/` of the tiny pipelines was made, and checked against diffusers' own loaders, by
tests/data/scripts/original_layout.py.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import convert
from tintype.bundle import Bundle
from tintype.errors import CheckpointError
from tintype.weights import DiffusersFolder, OriginalFiles, SafetensorsFile, open_source
from tintype.weights.layouts.original_keys import CLIP, Row, apply_rows

from .publishers import transformer

Array = np.ndarray[Any, Any]
PIPELINES = ("StableDiffusion3Pipeline", "FluxPipeline")


def blobs(bundle: Bundle, component: str, dtype: Any) -> Array:
    """weight.bin as numbers; headers between the tensors are the same for the same layout."""
    file = bundle.package_paths(component)[0] / "Data/com.apple.CoreML/weights/weight.bin"
    return np.frombuffer(file.read_bytes(), dtype)


def graph(bundle: Bundle, component: str) -> bytes:
    return (bundle.package_paths(component)[0] / "Data/com.apple.CoreML/model.mlmodel").read_bytes()


def same(bundle: Bundle, expected: Bundle) -> set[str]:
    """Check everything but the weights; the components whose weights differ."""
    assert list(bundle.components) == list(expected.components)
    assert bundle.config == expected.config
    assert (bundle.schedule, bundle.latent, bundle.context) == (
        expected.schedule,
        expected.latent,
        expected.context,
    )
    assert bundle.tokenizers == expected.tokenizers
    for name in bundle.components:
        assert graph(bundle, name) == graph(expected, name)
    return {n for n, c in bundle.components.items() if c.sha256 != expected.components[n].sha256}


def test_stable_diffusion_3(data: Path, tmp_path: Path, make_bundle: Callable[..., Bundle]) -> None:
    """One float16 file: only 1 + scale, computed from rounded or exact scales, may differ by a rounding."""
    folder = data / "sd3.5-medium-tiny"
    expected = make_bundle("sd3.5-medium-tiny", "float16")
    file = folder / "original" / "sd3_incl_clips_t5xxl.safetensors"
    bundle = convert(file, tmp_path / "out", tokenizers=folder, size=(128, 128))
    assert (bundle.name, bundle.family, bundle.source["layout"]) == (
        "sd3_incl_clips_t5xxl",
        "sd3",
        "original",
    )
    assert file.name in bundle.source["files"]
    assert same(bundle, expected) == {"modulation"}
    got, want = (blobs(b, "modulation", np.float16) for b in (bundle, expected))
    different = got != want
    assert different.mean() < 1e-3
    np.testing.assert_allclose(got[different].astype(float), want[different].astype(float), rtol=2**-10)


def test_flux(data: Path, tmp_path: Path, make_bundle: Callable[..., Bundle]) -> None:
    """A bfloat16 transformer, its autoencoder beside it, and the text encoders of the companion."""
    folder = data / "flux-dev-tiny"
    expected = make_bundle("flux-dev-tiny", "float32")
    options: dict[str, Any] = {"tokenizers": folder, "size": (128, 128), "precision": "float32"}
    bundle = convert(folder / "original" / "flux1.safetensors", tmp_path / "out", **options)
    assert same(bundle, expected) == {"modulation", "denoiser"}
    assert set(bundle.source["files"]) >= {"flux1.safetensors", "ae.safetensors"}
    for name in ("modulation", "denoiser"):
        got, want = (blobs(b, name, np.float32) for b in (bundle, expected))
        numbers = np.isfinite(want) & (np.abs(want) > 1e-20)  # not the headers
        np.testing.assert_allclose(got[numbers], want[numbers], rtol=2**-8, atol=2**-8)
    whole = convert(folder / "original", tmp_path / "whole", **options)
    assert {n: c.sha256 for n, c in whole.components.items()} == {
        n: c.sha256 for n, c in bundle.components.items()
    }


@pytest.mark.parametrize(
    "model",
    ["sd3-medium-tiny", "sd3.5-medium-tiny", "sd3.5-large-tiny", "flux-schnell-tiny", "flux-dev-tiny"],
)
def test_the_transformer_of_every_model(data: Path, tmp_path: Path, model: str) -> None:
    """Under the publishers' keys, with and without ComfyUI's prefix, it is the diffusers layout's to the bit."""
    weights = load_file(data / model / "transformer/diffusion_pytorch_model.safetensors")
    expected = DiffusersFolder(data / model, PIPELINES)
    for prefix in ("", "model.diffusion_model."):
        file = tmp_path / f"{prefix}m.safetensors"
        save_file({prefix + key: value for key, value in transformer(weights).items()}, file)
        got = OriginalFiles(file, data / model)
        assert got.pipeline == expected.pipeline
        tensors = got.weights("transformer").tensors
        assert set(tensors) == set(weights)
        for key, value in weights.items():
            np.testing.assert_array_equal(tensors[key].array(np.float32), value, key)
        known, implied = expected.config("transformer"), got.config("transformer")
        assert {k: v for k, v in implied.items() if known.get(k) not in (None, v)} == {}
        file.unlink()


def test_text_encoders_beside_the_file(data: Path, tmp_path: Path) -> None:
    """clip_l.safetensors and a T5 file without prefixes; the projection, which FLUX does not use, is left."""
    folder = data / "flux-dev-tiny"
    for name in ("flux1.safetensors", "ae.safetensors"):
        (tmp_path / name).symlink_to(folder / "original" / name)
    clip = {f"text_model.{k}": v for k, v in load_file(folder / "text_encoder/model.safetensors").items()}
    save_file(clip | {"text_projection.weight": np.eye(32, dtype=np.float32)}, tmp_path / "c.safetensors")
    shutil.copy(folder / "text_encoder_2/model.safetensors", tmp_path / "t.safetensors")
    (tmp_path / "notes.safetensors").write_text("not a checkpoint")
    source = OriginalFiles(tmp_path / "flux1.safetensors")
    assert source.config("text_encoder")["architectures"] == ["CLIPTextModel"]
    assert source.config("text_encoder_2")["d_kv"] == 24
    assert "text_projection.weight" not in source.weights("text_encoder")
    assert source.weights("text_encoder_2").tensors["shared.weight"].shape == (107, 96)
    shutil.copy(tmp_path / "t.safetensors", tmp_path / "u.safetensors")
    with pytest.raises(
        CheckpointError, match=r"t\.safetensors and u\.safetensors beside it all hold a text_encoder_2"
    ):
        OriginalFiles(tmp_path / "flux1.safetensors").config("text_encoder_2")


def test_openclip_keys(data: Path, tmp_path: Path) -> None:
    """CLIP-G as OpenCLIP saves it: fused projections, and the last one transposed."""
    file = SafetensorsFile(data / "sd3.5-medium-tiny/text_encoder_2/model.safetensors")
    ours = {k: t.array(np.float32) for k, t in file.tensors.items()}
    layer = "text_model.encoder.layers.0"
    fused = np.concatenate([ours[f"{layer}.self_attn.{n}_proj.weight"] for n in "qkv"])
    theirs = {
        "transformer.resblocks.0.attn.in_proj_weight": fused,
        "transformer.resblocks.0.mlp.c_fc.bias": ours[f"{layer}.mlp.fc1.bias"],
        "transformer.resblocks.0.ln_2.weight": ours[f"{layer}.layer_norm2.weight"],
        "positional_embedding": ours["text_model.embeddings.position_embedding.weight"],
        "text_projection": np.ascontiguousarray(ours["text_projection.weight"].T),
        "logit_scale": np.asarray(4.6, np.float32),
    }
    expected = {
        *(f"{layer}.self_attn.{n}_proj.weight" for n in "qkv"),
        f"{layer}.mlp.fc1.bias",
        f"{layer}.layer_norm2.weight",
        "text_model.embeddings.position_embedding.weight",
        "text_projection.weight",
    }
    save_file(theirs, tmp_path / "g.safetensors")
    found = apply_rows(SafetensorsFile(tmp_path / "g.safetensors").tensors, CLIP)
    assert set(found) == expected
    for key, view in found.items():
        assert view.name == key
        np.testing.assert_array_equal(view.array(np.float32), ours[key])
        np.testing.assert_array_equal(np.concatenate(list(view.chunks(np.float32))), ours[key].reshape(-1))
        np.testing.assert_array_equal(view.elements(5, 17, np.float32), ours[key].reshape(-1)[5:17])


def test_views_cross_their_pieces(tmp_path: Path) -> None:
    value = np.arange(24, dtype=np.float32).reshape(6, 4)
    save_file({"a.weight": value}, tmp_path / "a.safetensors")
    tensors = SafetensorsFile(tmp_path / "a.safetensors").tensors
    row = Row(r"a\.weight", (("b", (1, 0)), ("c", (1,))), (1, 1))
    swapped, half = apply_rows(tensors, [row]).values()
    np.testing.assert_array_equal(swapped.array(np.float32), np.concatenate([value[3:], value[:3]]))
    np.testing.assert_array_equal(swapped.elements(10, 14, np.float16), [22, 23, 0, 1])
    np.testing.assert_array_equal(np.concatenate(list(swapped.chunks(np.float16)))[10:14], [22, 23, 0, 1])
    np.testing.assert_array_equal(half.array(np.float32), value[3:])


def test_what_is_missing(data: Path, tmp_path: Path) -> None:
    flux = data / "flux-dev-tiny" / "original" / "flux1.safetensors"
    with pytest.raises(
        CheckpointError, match="holds no text_encoder: put the publisher's file for it beside"
    ):
        OriginalFiles(flux).config("text_encoder")
    with pytest.raises(
        CheckpointError, match="no single file has one: give --tokenizers, a Hugging Face folder"
    ):
        OriginalFiles(flux).folder("tokenizer")
    alone = tmp_path / "alone" / "flux1.safetensors"
    alone.parent.mkdir()
    shutil.copy(flux, alone)
    everything = "vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2"
    with pytest.raises(CheckpointError, match=rf"flux1\.safetensors holds no {everything}: put the publish"):
        convert(alone, tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"flux1\.safetensors holds no vae: put .* ae\.safetensors\)"):
        convert(alone, tmp_path / "out", components=["denoiser"])
    # Only a config.json tells which channels of a head that is not 128 wide are rotated.
    with pytest.raises(CheckpointError, match=r"16 wide.*transformer/config\.json, as --tokenizers"):
        convert(flux, tmp_path / "out", components=["denoiser"])
    other = data / "sd3-medium-tiny"
    with pytest.raises(CheckpointError, match=rf"--tokenizers {other} is of StableDiffusion3Pipeline, but "):
        convert(flux, tmp_path / "out", tokenizers=other)
    shutil.copy(data / "flux-dev-tiny/original/ae.safetensors", tmp_path / "ae.safetensors")
    message = r"ae\.safetensors holds no transformer of Stable Diffusion 3 or FLUX"
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "ae.safetensors", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ckpt", b"", "is a pickle, which can run code when it is opened, but no safetensors file"),
        (
            "flux1-Q4_K.gguf",
            b"GGUF",
            r"is a GGUF file .*full weights, and --quantize makes the bundle as small",
        ),
        ("model", b"GGUF\3\0", "model is a GGUF file"),
        ("a.onnx", b"", "is an ONNX file"),
        ("a.zip", b"PK", "is an archive, which has to be unpacked"),
        ("a.txt", b"", r"a\.txt is a file, but no safetensors file: name a Hugging Face folder"),
    ],
)
def test_other_kinds_of_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_source(tmp_path / name, PIPELINES)
    expected = f"no safetensors files, only {name}" if name[-4:] != ".txt" else r"has no model_index\.json"
    with pytest.raises(CheckpointError, match=expected):
        open_source(tmp_path, PIPELINES)


@pytest.fixture
def configs(data: Path, tmp_path: Path) -> Path:
    """A companion with configs and nothing else: the tiny models are not of the published proportions."""
    for part in ("vae", "text_encoder", "text_encoder_2"):
        (tmp_path / "configs" / part).mkdir(parents=True)
        shutil.copy(data / "sd3.5-medium-tiny" / part / "config.json", tmp_path / "configs" / part)
    return tmp_path / "configs"


def test_a_denoiser_alone_needs_no_tokenizers(data: Path, tmp_path: Path, configs: Path) -> None:
    file = data / "sd3.5-medium-tiny" / "original" / "sd3_incl_clips_t5xxl.safetensors"
    bundle = convert(file, tmp_path / "out", components=["denoiser"], size=(128, 128), tokenizers=configs)
    assert list(bundle.components) == ["modulation", "denoiser"]
    assert (bundle.context.clip_tokens, bundle.context.t5_tokens) == (77, 77)


def test_keys_of_another_model_are_listed(data: Path, tmp_path: Path, configs: Path) -> None:
    tensors = load_file(data / "sd3.5-medium-tiny/original/sd3_incl_clips_t5xxl.safetensors")
    tensors["model.diffusion_model.controlnet.weight"] = np.zeros((2, 2), np.float16)
    del tensors["model.diffusion_model.joint_blocks.1.x_block.mlp.fc1.bias"]
    save_file(tensors, tmp_path / "a.safetensors")
    options: dict[str, Any] = {"size": (128, 128), "tokenizers": configs}
    message = r"1 missing: transformer_blocks\.1\.ff\.net\.0\.proj\.bias.*1 unknown: controlnet\.weight"
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "a.safetensors", tmp_path / "out", components=["denoiser"], **options)
