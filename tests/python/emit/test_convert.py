"""Conversion end to end: what a bundle holds, that it is the same each time, and every way to refuse."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import convert, names
from tintype.bundle import Bundle, DynamicShift, Schedule
from tintype.errors import CheckpointError, ConversionError, TintypeError, UsageError

Edit = Callable[..., None]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_a_bundle_holds(sd3_half: Bundle, data: Path) -> None:
    assert list(sd3_half.components) == list(names.COMPONENTS)
    assert sd3_half.name == "sd3-medium-tiny"
    assert (sd3_half.family, sd3_half.target, sd3_half.precision) == ("sd3", "gpu", "float16")
    assert (sd3_half.size.width, sd3_half.size.height) == (128, 128)
    assert (sd3_half.context.clip_tokens, sd3_half.context.t5_tokens, sd3_half.context.dim) == (77, 77, 96)
    assert sd3_half.pooled.dim == 80
    assert (sd3_half.latent.scale, sd3_half.latent.shift) == (1.5305, 0.0609)
    assert (sd3_half.schedule.shift, sd3_half.schedule.num_train_timesteps) == (3.0, 1000)
    assert (sd3_half.defaults.steps, sd3_half.defaults.guidance_scale) == (28, 7.0)
    rows = {n: (t.bos_token_id, t.eos_token_id, t.pad_token_id) for n, t in sd3_half.tokenizers.items()}
    assert rows == {
        "tokenizer": (699, 700, 700),
        "tokenizer_2": (699, 700, 0),
        "tokenizer_3": (None, 1, 0),
    }
    for name, component in sd3_half.components.items():
        weights = sd3_half.package_paths(name)[0] / "Data/com.apple.CoreML/weights/weight.bin"
        assert component.weight_bytes == weights.stat().st_size
        assert component.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert {s.dtype for s in (*component.inputs, *component.outputs)} <= {"float16", "int32"}
    source = data / "sd3-medium-tiny"
    hashes = sd3_half.source["files"]
    assert "vae/diffusion_pytorch_model.safetensors" in hashes
    for relative, digest in hashes.items():
        assert hashlib.sha256((source / relative).read_bytes()).hexdigest() == digest
    assert sd3_half.root is not None
    assert str(source) not in (sd3_half.root / names.BUNDLE_FILE).read_text()


def test_demo_model_has_no_t5(demo: Bundle) -> None:
    assert names.TEXT_ENCODER_3 not in demo.components
    assert names.TOKENIZER_3 not in demo.tokenizers
    assert (demo.context.clip_tokens, demo.context.t5_tokens) == (24, 24)
    assert demo.component(names.DENOISER).input(names.CONTEXT).shape == (1, 48, 160)


def test_what_a_flux_bundle_holds(make_bundle: Callable[..., Bundle]) -> None:
    dev, schnell = make_bundle("flux-dev-tiny", "float16"), make_bundle("flux-schnell-tiny", "float16")
    expected = [c for c in names.COMPONENTS if c != names.TEXT_ENCODER_2]
    assert list(dev.components) == list(schnell.components) == expected
    assert (dev.family, list(dev.tokenizers)) == ("flux", ["tokenizer", "tokenizer_3"])
    assert (dev.context.clip_tokens, dev.context.t5_tokens, schnell.context.t5_tokens) == (77, 128, 96)
    assert dev.component(names.DENOISER).input(names.CONTEXT).shape == (1, 128, 96)
    assert dev.component(names.DENOISER).output(names.VELOCITY).shape == (1, 16, 16, 16)
    assert dev.component(names.MODULATION).output(names.MODULATION_ROWS).shape == (1, 2 * 12 + 3 * 3 + 2, 64)
    assert dev.schedule == Schedule("flow_match_dynamic", 1.0, 1000, DynamicShift(0.5, 1.15, 256, 4096))
    assert schnell.schedule == Schedule("flow_match_linear", 1.0, 1000)
    assert (dev.defaults.steps, dev.defaults.guidance_scale) == (28, 3.5)
    assert (schnell.defaults.steps, schnell.defaults.guidance_scale) == (4, 0.0)


def test_what_flux_cannot_be(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch is 2, but models of the family flux have one row only"):
        convert(data / "flux-dev-tiny", tmp_path / "out", batch=2)
    with pytest.raises(UsageError, match="'text_encoder_2': choose among text_encoder, text_encoder_3, "):
        convert(data / "flux-dev-tiny", tmp_path / "out", components=["text_encoder_2"])


def test_same_input_same_bytes(data: Path, tmp_path: Path) -> None:
    first = convert(data / "sd3-medium-tiny", tmp_path / "one")
    copy = shutil.copytree(data / "sd3-medium-tiny", tmp_path / "elsewhere" / "sd3-medium-tiny")
    program = f"import tintype; tintype.convert({str(copy)!r}, {str(tmp_path / 'two')!r}, gate=None)"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert first.root is not None
    assert files_of(first.root) == files_of(tmp_path / "two")


def test_selected_components(source: Path, tmp_path: Path) -> None:
    bundle = convert(source, tmp_path / "out", components=["vae_decoder", "denoiser", "text_encoder"])
    assert list(bundle.components) == ["text_encoder", "modulation", "denoiser", "vae_decoder"]
    assert list(bundle.tokenizers) == ["tokenizer"]
    assert bundle.context.t5_tokens == bundle.context.clip_tokens
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "bundle.json", "denoiser.mlpackage", "modulation.mlpackage", "text_encoder.mlpackage", "tokenizer",
        "vae_decoder.mlpackage",
    ]  # fmt: skip


def test_size_sequence_length_and_batch(source: Path, tmp_path: Path) -> None:
    bundle = convert(source, tmp_path / "out", size=(160, 96), max_sequence_length=100, batch=2)
    denoiser = bundle.component(names.DENOISER)
    assert denoiser.input(names.LATENT).shape == (2, 16, 12, 20)
    assert denoiser.input(names.CONTEXT).shape == (2, 177, 96)
    assert bundle.component(names.MODULATION).input(names.TIMESTEP_FEATURES).shape == (2, 256)
    assert bundle.component(names.VAE_DECODER).output(names.IMAGE).shape == (1, 3, 96, 160)
    assert bundle.tokenizers["tokenizer_3"].max_length == 100


def test_t5_is_cut_to_256_tokens_by_default(source: Path, tmp_path: Path, edit: Edit) -> None:
    edit("tokenizer_3/tokenizer_config.json", model_max_length=512)
    bundle = convert(source, tmp_path / "out", components=["text_encoder_3"])
    assert bundle.context.t5_tokens == 256


def test_checkpoint_may_give_defaults_and_a_name(source: Path, tmp_path: Path, edit: Edit) -> None:
    edit("model_index.json", tintype={"name": "mine", "steps": 12, "guidance_scale": 4})
    bundle = convert(source, tmp_path / "out", components=["vae_decoder"])
    assert (bundle.name, bundle.defaults.steps, bundle.defaults.guidance_scale) == ("mine", 12, 4.0)


def test_tokenizer_json_alone_is_enough(source: Path, tmp_path: Path) -> None:
    folder = source / "tokenizer"
    vocab = json.loads((folder / "vocab.json").read_text())
    merges = (folder / "merges.txt").read_text().splitlines()[1:]
    special = {t: vocab.pop(t) for t in ("<|startoftext|>", "<|endoftext|>")}
    data = {
        "added_tokens": [{"id": i, "content": t, "special": True} for t, i in special.items()],
        "model": {"type": "BPE", "vocab": vocab, "merges": [m.split(" ") for m in merges]},
    }
    expected = convert(source, tmp_path / "a", components=["text_encoder"]).tokenizers["tokenizer"]
    before = files_of(tmp_path / "a" / "tokenizer")
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False))
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    assert convert(source, tmp_path / "b", components=["text_encoder"]).tokenizers["tokenizer"] == expected
    after = files_of(tmp_path / "b" / "tokenizer")
    assert after["merges.txt"] == before["merges.txt"]
    assert json.loads(after["vocab.json"]) == json.loads(before["vocab.json"])


def test_bfloat16_and_sharded_sources(source: Path, tmp_path: Path) -> None:
    """Shards of bfloat16 give the same package as one file with the same rounded values in float32."""
    folder = source / "transformer"
    file = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    bits = {k: (v.view(np.uint32) >> 16).astype(np.uint16) for k, v in tensors.items()}
    rounded = {k: (v.astype(np.uint32) << 16).view(np.float32) for k, v in bits.items()}
    save_file(rounded, file)
    expected = convert(source, tmp_path / "a", components=["denoiser"], precision="float32")
    file.unlink()
    keys = sorted(bits)
    table = {}
    for number, part in enumerate((keys[::2], keys[1::2]), 1):
        name = f"diffusion_pytorch_model-{number:05}-of-00002.safetensors"
        write_bfloat16(folder / name, {k: bits[k] for k in part})
        table |= dict.fromkeys(part, name)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": table}))
    bundle = convert(source, tmp_path / "b", components=["denoiser"], precision="float32")
    assert bundle.component("denoiser") == expected.component("denoiser")


def write_bfloat16(path: Path, tensors: dict[str, Any]) -> None:
    header, offset = {}, 0
    for name, value in tensors.items():
        end = offset + value.nbytes
        header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(v.tobytes() for v in tensors.values()))


def test_progress_names_each_component_and_ends_at_its_total(source: Path, tmp_path: Path) -> None:
    heard: dict[str, list[tuple[int, int]]] = {}
    convert(source, tmp_path / "out", progress=lambda c, d, t: heard.setdefault(c, []).append((d, t)))
    assert list(heard) == list(names.COMPONENTS)
    for rows in heard.values():
        assert rows[-1][0] == rows[-1][1]
        assert [d for d, _ in rows] == sorted(d for d, _ in rows)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interrupted_conversion_leaves_nothing(
    source: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(component: str, done: int, total: int) -> None:
        if component == names.DENOISER:
            raise error

    (tmp_path / "out").mkdir()
    with pytest.raises(error):
        convert(source, tmp_path / "out" / "bundle", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


CHOICES = [
    ({"size": (120, 128)}, UsageError, "size: the width is 120, expected a positive multiple of 16"),
    ({"size": (128, 0)}, UsageError, "size: the height is 0, expected a positive multiple of 16"),
    ({"size": (128, 400)}, UsageError, r"128x400 is beyond 384x384.*pos_embed_max_size 24.*smaller"),
    ({"components": ["unet"]}, UsageError, "components: 'unet': choose among text_encoder, "),
    ({"components": "vae_decoder"}, UsageError, r"components is 'vae_decoder', expected several names"),
    ({"components": 5}, UsageError, "components is 5, expected several names"),
    ({"quantize": 5}, UsageError, "quantize is 5, expected the name of a recipe"),
    ({"variant": 5}, UsageError, "variant is 5, expected a word"),
    ({"tokenizers": 5}, UsageError, "tokenizers is 5, expected a path"),
    ({"lora": 5}, UsageError, "lora is 5, expected a path"),
    ({"batch": 1.0}, UsageError, r"batch is 1\.0, expected 1"),
    ({"components": ["modulation"]}, UsageError, "components: 'modulation': choose among"),
    ({"components": []}, UsageError, "components: none named: choose among"),
    ({"precision": "int8"}, UsageError, "precision is 'int8', expected one of float16, float32"),
    ({"target": "npu"}, UsageError, "target is 'npu', expected one of gpu, ane"),
    ({"target": "ane", "precision": "float32"}, UsageError, "the Neural Engine computes in float16 only"),
    ({"batch": 3}, UsageError, "batch is 3, expected 1 .* or 2"),
    ({"max_sequence_length": 0}, UsageError, "max_sequence_length is 0, expected an integer from 1 to 512"),
]


@pytest.mark.parametrize(("choice", "kind", "message"), CHOICES)
def test_choices_that_cannot_be(
    data: Path, tmp_path: Path, choice: dict[str, Any], kind: type[TintypeError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        convert(data / "sd3-medium-tiny", tmp_path / "out", **choice)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("source", "output", "name"), [(None, "out", "source"), ("sd3", 5, "output")])
def test_paths_that_are_none(source: Any, output: Any, name: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name} is (None|5), expected a path$"):
        convert(source, output)


def test_t5_of_a_checkpoint_without_one(tmp_path: Path, demo: Bundle) -> None:
    import tintype

    model = Path(tintype.__file__).parent / "_demo_model"
    with pytest.raises(ConversionError, match="has no text_encoder_3: leave it out, zeros take its place"):
        convert(model, tmp_path / "out", components=["text_encoder_3"])


DAMAGE = [
    ("vae/config.json", None, r"vae/config\.json is missing: download the whole checkpoint"),
    ("tokenizer", None, r"tokenizer is missing, but model_index\.json names it"),
    ("tokenizer/merges.txt", None, r"tokenizer has no vocab\.json and merges\.txt and no tokenizer\.json"),
    ("scheduler/scheduler_config.json", None, r"scheduler_config\.json is missing"),
    ("transformer/config.json", {"pooled_projection_dim": 96}, "pooled_projection_dim is 96, but .* give 80"),
    (
        "transformer/config.json",
        {"joint_attention_dim": 64},
        "joint_attention_dim is 64, but T5's d_model give 96",
    ),
    (
        "transformer/config.json",
        {"num_layers": 4},
        r"transformer: .*28 missing: transformer_blocks\.3.*2 of the wrong shape: .*norm1_context",
    ),
    ("transformer/config.json", {"num_layers": 2}, r"transformer: .* unknown: transformer_blocks\.1"),
    (
        "transformer/config.json",
        {"pos_embed_max_size": 32},
        r"pos_embed has \[1, 576, 64\], expected \[1, 1024",
    ),
    ("transformer/config.json", {"qk_norm": "rms_norm"}, r"12 missing: transformer_blocks\.0\.attn\.norm_q"),
    ("vae/config.json", {"latent_channels": 8}, "in_channels is 16, but the VAE's latent_channels give 8"),
    ("vae/config.json", {"layers_per_block": 2}, r"vae: .* missing: decoder\.up_blocks\.0\.resnets\.2"),
    (
        "scheduler/scheduler_config.json",
        {"use_dynamic_shifting": True},
        "use_dynamic_shifting True, expected",
    ),
    ("scheduler/scheduler_config.json", {"shift": 0}, "shift is 0, expected a positive number"),
    ("scheduler/scheduler_config.json", {"shift": True}, "shift is True, expected a positive number"),
    ("scheduler/scheduler_config.json", {"shift": float("nan")}, "shift is nan, expected a positive number"),
    *(
        ("scheduler/scheduler_config.json", {"num_train_timesteps": wrong}, "expected a positive integer")
        for wrong in ("abc", None, -5, 0)
    ),
    ("scheduler/scheduler_config.json", {"use_karras_sigmas": True}, "use_karras_sigmas is True, which asks"),
    ("scheduler/scheduler_config.json", {"shift_terminal": 0.1}, "shift_terminal is 0.1, which asks"),
    ("tokenizer/tokenizer_config.json", {"pad_token": "<none>"}, "the vocabulary has no token '<none>'"),
    ("model_index.json", {"tintype": {"steps": 0}}, "tintype is {'steps': 0}, expected steps of at least 1"),
]


@pytest.mark.parametrize(("relative", "change", "message"), DAMAGE)
def test_damaged_checkpoints(
    source: Path, tmp_path: Path, edit: Edit, relative: str, change: dict[str, Any] | None, message: str
) -> None:
    path = source / relative
    if change is not None:
        edit(relative, **change)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out" / "bundle")
    assert not list((tmp_path / "out").glob("*") if (tmp_path / "out").exists() else [])


def test_truncated_weights(source: Path, tmp_path: Path) -> None:
    path = source / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="is truncated: "):
        convert(source, tmp_path / "out")


def test_values_beyond_float16(source: Path, tmp_path: Path) -> None:
    path = source / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["decoder.conv_in.weight"][0, 0, 0, 0] = 1e6
    save_file(tensors, path)
    with pytest.raises(ConversionError, match=r"decoder\.conv_in\.weight holds a value beyond 65504"):
        convert(source, tmp_path / "out", components=["vae_decoder"])
    assert not (tmp_path / "out").exists()
    assert convert(source, tmp_path / "out", components=["vae_decoder"], precision="float32")


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_weights_that_are_not_finite(source: Path, tmp_path: Path, precision: Any, stored: Any) -> None:
    path = source / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = {name: value.astype(stored) for name, value in load_file(path).items()}
    tensors["decoder.conv_in.weight"][1, 0, 0, 2] = np.nan
    save_file(tensors, path)
    message = (
        r"vae.diffusion_pytorch_model\.safetensors: decoder\.conv_in\.weight holds 1 .* at \[1, 0, 0, 2\]"
    )
    for quantize in (None, "vae_decoder=int8"):
        with pytest.raises(CheckpointError, match=message):
            convert(
                source, tmp_path / "out", components=["vae_decoder"], precision=precision, quantize=quantize
            )
        assert not (tmp_path / "out").exists()


def test_existing_output(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out", components=["vae_decoder"])
    with pytest.raises(ConversionError, match="out exists"):
        convert(source, tmp_path / "out", components=["vae_encoder"])
    bundle = convert(source, tmp_path / "out", components=["vae_encoder"], overwrite=True)
    assert list(bundle.components) == ["vae_encoder"]


def test_neither_torch_nor_warnings(source: Path, tmp_path: Path) -> None:
    program = (
        f"import sys, tintype; tintype.convert({str(source)!r}, {str(tmp_path / 'out')!r}); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_killed_conversion_is_cleaned_up_by_the_next(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = (
        "import os, signal, sys, tintype\n"
        "def kill(component, done, total):\n"
        "    if component == 'denoiser': os.kill(os.getpid(), signal.SIGKILL)\n"
        "tintype.convert(sys.argv[1], sys.argv[2], progress=kill)\n"
    )
    command = [sys.executable, "-c", program, str(source), str(out / "bundle")]
    killed = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)})
    assert killed.returncode == -signal.SIGKILL
    (left,) = out.iterdir()
    assert left.name.startswith(".bundle.tintype-")
    assert (left / "modulation.mlpackage").is_dir()
    convert(source, out / "bundle", components=["vae_decoder"])
    assert [p.name for p in out.iterdir()] == ["bundle"]


def test_defaults_of_a_distilled_checkpoint(data: Path, tmp_path: Path) -> None:
    """Turbo's config is that of the model it was distilled from: the caller says what a run should use."""
    source = data / "sd3.5-large-tiny"
    bundle = convert(
        source, tmp_path / "turbo", components=["vae_decoder"], default_steps=4, default_guidance=1
    )
    assert (bundle.defaults.steps, bundle.defaults.guidance_scale) == (4, 1.0)
    plain = convert(source, tmp_path / "plain", components=["vae_decoder"], default_steps=8)
    assert (plain.defaults.steps, plain.defaults.guidance_scale) == (8, 7.0)
    for choice, message in (
        ({"default_steps": 0}, "default_steps is 0, expected an integer from 1 to 1000"),
        ({"default_guidance": -1.0}, r"default_guidance is -1\.0, expected a number of at least 0"),
    ):
        with pytest.raises(UsageError, match=message):
            convert(source, tmp_path / "none", components=["vae_decoder"], **choice)
