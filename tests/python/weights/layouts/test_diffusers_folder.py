"""The Hugging Face folder layout: one file or shards, and what may be missing."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import convert, plan_conversion
from tintype.errors import CheckpointError, UsageError
from tintype.weights import DiffusersFolder

PIPELINES = ("StableDiffusion3Pipeline",)
INDEX = "diffusion_pytorch_model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline with a transformer and a vae entry, and a transformer folder without weights."""
    index = {
        "_class_name": "StableDiffusion3Pipeline",
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder_3": [None, None],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text('{"num_layers": 2}')
    return tmp_path


def test_components_and_configs(folder: Path) -> None:
    source = DiffusersFolder(folder, PIPELINES)
    assert source.has("transformer")
    assert not source.has("text_encoder_3")
    assert not source.has("text_encoder")
    assert source.config("transformer") == {"num_layers": 2}
    assert list(source.files) == ["model_index.json", "transformer/config.json"]


def test_shards_of_an_index(folder: Path) -> None:
    transformer = folder / "transformer"
    save_file({"a": np.ones(2, np.float32)}, transformer / "m-00001-of-00002.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, transformer / "m-00002-of-00002.safetensors")
    table = {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"}
    (transformer / INDEX).write_text(json.dumps({"weight_map": table}))
    source = DiffusersFolder(folder, PIPELINES)
    weights = source.weights("transformer")
    np.testing.assert_array_equal(weights.get("a", (2,)).array(np.float32), [1, 1])
    np.testing.assert_array_equal(weights.get("b", (3,)).array(np.float32), [0, 0, 0])
    assert f"transformer/{table['b']}" in source.files


def test_variants(folder: Path) -> None:
    transformer = folder / "transformer"
    stem = "diffusion_pytorch_model"
    save_file({"a": np.ones(2, np.float16)}, transformer / f"{stem}.fp16.safetensors")
    assert DiffusersFolder(folder, PIPELINES).weights("transformer").tensors["a"].shape == (2,)
    save_file({"a": np.ones(3, np.float32)}, transformer / f"{stem}.safetensors")
    assert DiffusersFolder(folder, PIPELINES).weights("transformer").tensors["a"].shape == (3,)
    assert DiffusersFolder(folder, PIPELINES, "fp16").weights("transformer").tensors["a"].shape == (2,)
    assert DiffusersFolder(folder, PIPELINES, "bf16").weights("transformer").tensors["a"].shape == (3,)


def test_a_variant_of_some_components(data: Path, tmp_path: Path) -> None:
    """As the repositories of Stable Diffusion 3.5, which have fp16 files of the text encoders alone."""
    folder = shutil.copytree(data / "sd3-medium-tiny", tmp_path / "folder")
    wanted: dict[str, Any] = {"components": ["text_encoder", "vae_decoder"], "gate": None}
    with pytest.raises(CheckpointError, match="has no files of the variant 'fp16', nor of any other: leave"):
        convert(folder, tmp_path / "out", variant="fp16", **wanted)
    file = folder / "text_encoder/model.safetensors"
    save_file(
        {k: v.astype(np.float16) for k, v in load_file(file).items()}, file.with_suffix(".fp16.safetensors")
    )
    bundle = convert(folder, tmp_path / "out", variant="fp16", **wanted)
    assert "text_encoder/model.fp16.safetensors" in bundle.source["files"]
    assert "vae/diffusion_pytorch_model.safetensors" in bundle.source["files"]
    with pytest.raises(CheckpointError, match="variant 'fp61', only of fp16: leave the variant out, or name"):
        plan_conversion(folder, variant="fp61")


@pytest.mark.parametrize("variant", [None, "mixed"])
def test_shards_of_several_dtypes_convert_alike(data: Path, tmp_path: Path, variant: str | None) -> None:
    """A float32, a float16 and a bfloat16 shard of the same numbers: the bundle of one file, to the byte."""
    stem = "diffusion_pytorch_model"
    whole = shutil.copytree(data / "sd3-medium-tiny", tmp_path / "whole")
    tensors = load_file(whole / f"transformer/{stem}.safetensors")
    # What both kinds of 16 bits hold: bfloat16's 8 bits of mantissa, nothing below float16's normal numbers.
    bits = {k: (v.view(np.uint32) & 0xFFFF0000).view(np.float32) for k, v in tensors.items()}
    numbers = {k: np.where(np.abs(v) < 2**-14, np.float32(0), v) for k, v in bits.items()}
    save_file(numbers, whole / f"transformer/{stem}.safetensors")
    sharded = shutil.copytree(whole, tmp_path / "sharded")
    (sharded / f"transformer/{stem}.safetensors").unlink()
    dot = "" if variant is None else f".{variant}"
    table = {}
    for index, dtype in enumerate((mx.float32, mx.float16, mx.bfloat16)):
        shard = f"{stem}{dot}-{index + 1:05}-of-00003.safetensors"
        part = {k: mx.array(v).astype(dtype) for k, v in list(numbers.items())[index::3]}
        mx.save_safetensors(str(sharded / "transformer" / shard), part)
        table |= dict.fromkeys(part, shard)
    index_file = sharded / f"transformer/{stem}.safetensors.index{dot}.json"
    index_file.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    options: dict[str, Any] = {"components": ["denoiser"], "size": (128, 128)}
    bundles = [
        convert(whole, tmp_path / "a", **options),
        convert(sharded, tmp_path / "b", variant=variant, **options),
    ]
    hashes = [{n: c.sha256 for n, c in bundle.components.items()} for bundle in bundles]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("index", [f"{INDEX[:-5]}.fp16.json", INDEX.replace(".safe", ".fp16.safe")])
def test_shards_of_a_variant(folder: Path, index: str) -> None:
    shard = "diffusion_pytorch_model.fp16-00001-of-00001.safetensors"
    save_file({"a": np.ones(2, np.float16)}, folder / "transformer" / shard)
    (folder / "transformer" / index).write_text(json.dumps({"weight_map": {"a": shard}}))
    for variant in ("fp16", None):
        source = DiffusersFolder(folder, PIPELINES, variant)
        assert source.weights("transformer").tensors["a"].shape == (2,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": "gone.safetensors"}, r"gone\.safetensors is missing"),
        ({"a": "../../etc/passwd"}, "no usable weight_map"),
        ({"b": "m.safetensors"}, r"places b in m\.safetensors, where it is not"),
        ([], "no usable weight_map"),
    ],
)
def test_bad_indexes(folder: Path, table: object, message: str) -> None:
    save_file({"a": np.ones(2, np.float32)}, folder / "transformer" / "m.safetensors")
    (folder / "transformer" / INDEX).write_text(json.dumps({"weight_map": table}))
    with pytest.raises(CheckpointError, match=message):
        DiffusersFolder(folder, PIPELINES).weights("transformer")


def test_no_weights_lists_what_is_there(folder: Path) -> None:
    (folder / "transformer" / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"only config\.json, pytorch_model\.bin.*safetensors"):
        DiffusersFolder(folder, PIPELINES).weights("transformer")


def test_missing_folder_that_the_index_names(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vae is missing, but model_index\.json names it"):
        DiffusersFolder(folder, PIPELINES).config("vae")


def test_component_that_the_pipeline_does_not_have(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="names no text_encoder_3"):
        DiffusersFolder(folder, PIPELINES).folder("text_encoder_3")


@pytest.mark.parametrize("task", ["Img2Img", "Inpaint", "PAG"])
def test_pipelines_saved_for_another_task_have_the_same_models(folder: Path, task: str) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = f"StableDiffusion3{task}Pipeline"
    (folder / "model_index.json").write_text(json.dumps(index))
    assert DiffusersFolder(folder, PIPELINES).pipeline == "StableDiffusion3Pipeline"
    with pytest.raises(CheckpointError, match=f"is 'StableDiffusion3{task}Pipeline', expected FluxPipeline"):
        DiffusersFolder(folder, ("FluxPipeline",))


def test_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        DiffusersFolder(tmp_path / "none", PIPELINES)
    with pytest.raises(CheckpointError, match=r"has no model_index\.json"):
        DiffusersFolder(tmp_path, PIPELINES)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        DiffusersFolder(tmp_path, PIPELINES)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(
        CheckpointError, match="_class_name is 'FluxPipeline', expected StableDiffusion3Pipeline"
    ):
        DiffusersFolder(tmp_path, PIPELINES)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        DiffusersFolder(tmp_path / "file", PIPELINES)


def test_the_wrong_level(data: Path, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "m").symlink_to(data / "sd3-medium-tiny")
    for part in ("transformer", "model_index.json"):
        place = tmp_path / "up" / "m" / part
        with pytest.raises(
            CheckpointError, match=rf"{part} is a part of a Hugging Face folder: name .*up/m$"
        ):
            convert(place, tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"up has no model_index\.json, but folders in it do: .*up/m$"):
        convert(tmp_path / "up", tmp_path / "out")


def test_links_in_a_circle_and_pointers(data: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(CheckpointError, match="loop does not exist"):
        convert(tmp_path / "loop", tmp_path / "out")
    source = tmp_path / "source"
    shutil.copytree(data / "sd3-medium-tiny", source, ignore=shutil.ignore_patterns("golden", "original"))
    weights = source / "vae" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.symlink_to(weights)
    message = r"only config\.json, diffusion_pytorch_model\.safetensors \(a link that leads nowhere\)"
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out", components=["vae_decoder"])
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (source / "tokenizer" / "vocab.json").write_text(pointer)
    with pytest.raises(
        CheckpointError, match=r"vocab\.json is a Git LFS pointer, not the file: run `git lfs"
    ):
        convert(source, tmp_path / "out")


def test_other_small_files_that_are_pointers(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(data / "sd3-medium-tiny", source, ignore=shutil.ignore_patterns("golden", "original"))
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    for file in ("tokenizer/merges.txt", "tokenizer_3/tokenizer.json", "model_index.json"):
        place = source / file
        text = place.read_bytes()
        place.write_text(pointer)
        with pytest.raises(
            CheckpointError, match=rf"{place} is a Git LFS pointer, not the file: run `git lfs"
        ):
            convert(source, tmp_path / "out")
        place.write_bytes(text)


def test_byte_order_marks_change_nothing(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(data / "sd3-medium-tiny", source, ignore=shutil.ignore_patterns("golden", "original"))
    plain = convert(source, tmp_path / "plain", size=(64, 64))
    marked = [*source.rglob("*.json"), *source.rglob("merges.txt")]
    for file in marked:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    recipes = tmp_path / "recipes.json"
    recipes.write_text('{"text_encoder": {"*": "none"}}', encoding="utf-8-sig")
    bundle = convert(source, tmp_path / "marked", size=(64, 64), quantize=f"mixed:{recipes}")
    assert len(marked) > 10
    ours, theirs = bundle.to_json(), plain.to_json()
    assert ours.pop("source") != theirs.pop("source")  # the files' hashes
    assert ours == theirs
    assert bundle.root is not None
    assert plain.root is not None
    for folder in plain.tokenizers.values():
        for file in (plain.root / folder.path).iterdir():
            assert (bundle.root / folder.path / file.name).read_bytes() == file.read_bytes()


def test_a_repository_in_the_hub_s_cache_names_its_snapshots(data: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--some--one"
    snapshot = repository / "snapshots" / "abc"
    shutil.copytree(data / "sd3-medium-tiny", snapshot, ignore=shutil.ignore_patterns("golden", "original"))
    for number, file in enumerate([p for p in snapshot.rglob("*") if p.is_file()]):
        blob = repository / "blobs" / str(number)
        blob.parent.mkdir(exist_ok=True)
        file.rename(blob)
        file.symlink_to(os.path.relpath(blob, file.parent))
    for place in (repository, repository.parent):
        with pytest.raises(CheckpointError, match=rf"folders in it do: name one, such as {snapshot}$"):
            convert(place, tmp_path / "out")
    odd = tmp_path / "ein Ordner ü 日本"
    bundle = convert(snapshot, odd / "b ü", components=["vae_decoder"], size=(64, 64))
    assert bundle.root == odd / "b ü"


def test_what_is_no_file_or_may_not_be_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path("source")
    shutil.copytree(data / "sd3-medium-tiny", source, ignore=shutil.ignore_patterns("golden", "original"))
    weights, config = source / "vae/diffusion_pytorch_model.safetensors", source / "vae/config.json"

    def refused(message: str) -> None:
        with pytest.raises(CheckpointError, match=message):
            plan_conversion(source, components=["vae_decoder"], size=(64, 64))

    tmp_path.chmod(0o755)
    for place, message in (
        (weights, rf"{weights} cannot be read \(Permission denied\)"),
        (config, rf"{config} cannot be read \(Permission denied\): check the disk, and who may read it"),
        (source / "vae", r"vae.* cannot be read \(Permission denied\): check who may read it and its fold"),
    ):
        mode = place.stat().st_mode
        place.chmod(0)
        with as_somebody():
            refused(message)
        place.chmod(mode)
    weights.unlink()
    weights.mkdir()
    refused(r"only config\.json, diffusion_pytorch_model\.safetensors \(no file\)")
    config.unlink()
    config.mkdir()
    refused("config.json is no file: download the whole checkpoint")
    with pytest.raises(UsageError, match=r"source is 'a\\x00b', expected a path"):
        convert("a\0b", "out")


@contextmanager
def as_somebody() -> Iterator[None]:
    """Not as root, who may read everything."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_is_converted_already(data: Path, tmp_path: Path) -> None:
    bundle = convert(data / "sd3-medium-tiny", tmp_path / "b", components=["vae_decoder"])
    with pytest.raises(
        CheckpointError, match="b is a bundle, which is converted already: name the checkpoint"
    ):
        convert(tmp_path / "b", tmp_path / "out")
    with pytest.raises(CheckpointError, match="is a Core ML model, which is converted already"):
        convert(bundle.package_paths("vae_decoder")[0], tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": ""}, "variant is '', expected a word in the files' names, such as fp16"),
        ({"variant": "../fp16"}, "variant is '../fp16', expected a word"),
        (
            {"tokenizers": "some/repository"},
            "tokenizers are of single files, and .* is a Hugging Face folder",
        ),
        (
            {"max_sequence_length": -1, "components": ["vae_decoder"]},
            "max_sequence_length is -1, expected an",
        ),
        ({"default_steps": 10**20}, "default_steps is 1000.*, expected an integer from 1 to 1000"),
    ],
)
def test_choices_that_cannot_be(data: Path, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert(data / "sd3-medium-tiny", tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []
