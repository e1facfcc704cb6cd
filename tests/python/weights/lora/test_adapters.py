"""LoRA files of every public layout, merged while weights stream: held to a merge by hand."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tintype import convert
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.errors import CheckpointError, ConversionError, UsageError
from tintype.verify import verify_backends
from tintype.weights import open_loras

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]

RANK, ALPHA, SCALE = 4, 3.0, 0.75
SIZE = (128, 128)

#: Kohya's layers (the publishers' names, '.' as '_') → the layers of the models that they are made of, in order.
KOHYA: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sd3-medium-tiny": {
        "joint_blocks_0_x_block_attn_qkv": tuple(f"transformer_blocks.0.attn.to_{n}" for n in "qkv"),
        "joint_blocks_2_context_block_attn_qkv": tuple(
            f"transformer_blocks.2.attn.add_{n}_proj" for n in "qkv"
        ),
        "joint_blocks_1_x_block_attn_proj": ("transformer_blocks.1.attn.to_out.0",),
        "joint_blocks_1_context_block_mlp_fc1": ("transformer_blocks.1.ff_context.net.0.proj",),
        "joint_blocks_0_x_block_adaLN_modulation_1": ("transformer_blocks.0.norm1.linear",),
        "y_embedder_mlp_0": ("time_text_embed.text_embedder.linear_1",),
    },
    "flux-dev-tiny": {
        "double_blocks_0_img_attn_qkv": tuple(f"transformer_blocks.0.attn.to_{n}" for n in "qkv"),
        "double_blocks_1_txt_attn_proj": ("transformer_blocks.1.attn.to_add_out",),
        "double_blocks_1_img_mlp_2": ("transformer_blocks.1.ff.net.2",),
        "single_blocks_0_linear1": (
            *(f"single_transformer_blocks.0.attn.to_{n}" for n in "qkv"),
            "single_transformer_blocks.0.proj_mlp",
        ),
        "single_blocks_2_linear2": ("single_transformer_blocks.2.proj_out",),
        "double_blocks_0_txt_mod_lin": ("transformer_blocks.0.norm1_context.linear",),
        "img_in": ("x_embedder",),
    },
}
#: The publishers' own names.
DOTTED = {
    "joint_blocks_0_x_block_attn_qkv": "joint_blocks.0.x_block.attn.qkv",
    "joint_blocks_2_context_block_attn_qkv": "joint_blocks.2.context_block.attn.qkv",
    "joint_blocks_1_x_block_attn_proj": "joint_blocks.1.x_block.attn.proj",
    "joint_blocks_1_context_block_mlp_fc1": "joint_blocks.1.context_block.mlp.fc1",
    "joint_blocks_0_x_block_adaLN_modulation_1": "joint_blocks.0.x_block.adaLN_modulation.1",
    "y_embedder_mlp_0": "y_embedder.mlp.0",
    "double_blocks_0_img_attn_qkv": "double_blocks.0.img_attn.qkv",
    "double_blocks_1_txt_attn_proj": "double_blocks.1.txt_attn.proj",
    "double_blocks_1_img_mlp_2": "double_blocks.1.img_mlp.2",
    "single_blocks_0_linear1": "single_blocks.0.linear1",
    "single_blocks_2_linear2": "single_blocks.2.linear2",
    "double_blocks_0_txt_mod_lin": "double_blocks.0.txt_mod.lin",
    "img_in": "img_in",
}


@pytest.fixture
def weights(data: Path) -> Callable[[str], Tensors]:
    def read(model: str) -> Tensors:
        return load_file(data / model / "transformer/diffusion_pytorch_model.safetensors")

    return read


def factors(model: str, weights: Tensors, seed: int = 1) -> dict[str, tuple[Array, Array]]:
    """Kohya's layer → (A, B)."""
    rng = np.random.default_rng(seed)
    made = {}
    for layer, keys in KOHYA[model].items():
        shapes = [weights[f"{key}.weight"].shape for key in keys]
        down = rng.standard_normal((RANK, shapes[0][1])).astype(np.float32)
        up = rng.standard_normal((sum(s[0] for s in shapes), RANK)).astype(np.float32) * np.float32(0.1)
        made[layer] = (down, up)
    return made


def split(model: str, weights: Tensors, pairs: Mapping[str, tuple[Array, Array]]) -> dict[str, Any]:
    """The models' layer → (A, its rows of B)."""
    found = {}
    for layer, keys in KOHYA[model].items():
        down, up = pairs[layer]
        rows = np.cumsum([0, *(weights[f"{key}.weight"].shape[0] for key in keys)])
        found |= {
            key: (down, np.ascontiguousarray(up[b:e]))
            for key, b, e in zip(keys, rows[:-1], rows[1:], strict=True)
        }
    return found


def lora(layout: str, model: str, weights: Tensors, seed: int = 1) -> Tensors:
    """A LoRA file in one of the layouts, all with the same change of the weights."""
    pairs = factors(model, weights, seed)
    alpha = np.asarray(ALPHA, np.float32)
    if layout in ("kohya", "publisher"):
        names = {k: f"lora_unet_{k}" if layout == "kohya" else f"diffusion_model.{DOTTED[k]}" for k in pairs}
        halves = ("lora_down", "lora_up") if layout == "kohya" else ("lora_A", "lora_B")
        rows = {names[k]: pair for k, pair in pairs.items()}
    else:
        start, halves, flat = {
            "diffusers": ("transformer.", ("lora_A", "lora_B"), False),
            "before peft": ("transformer.", ("lora.down", "lora.up"), False),
            "peft": ("base_model.model.", ("lora_A.default", "lora_B.default"), False),
            "onetrainer": ("lora_transformer_", ("lora_down", "lora_up"), True),
        }[layout]
        rows = {
            start + (key.replace(".", "_") if flat else key): pair
            for key, pair in split(model, weights, pairs).items()
        }
    found: Tensors = {}
    for name, (down, up) in rows.items():
        found |= {f"{name}.{halves[0]}.weight": down, f"{name}.{halves[1]}.weight": up}
        found[f"{name}.alpha"] = alpha
    return found


LAYOUTS = ("diffusers", "before peft", "peft", "onetrainer", "kohya", "publisher")


def merged(weights: Tensors, model: str, *terms: tuple[int, float]) -> Tensors:
    """The transformer merged by hand with the LoRAs of (seed, scale)."""
    found = dict(weights)
    for seed, scale in terms:
        for key, (down, up) in split(model, weights, factors(model, weights, seed)).items():
            name = f"{key}.weight"
            found[name] = found[name] + np.float32(scale * ALPHA / RANK) * (up @ down)
    return found


def source_with(data: Path, model: str, transformer: Tensors, folder: Path) -> Path:
    """A copy of the checkpoint with another transformer."""
    for part in (data / model).iterdir():
        if part.name not in ("golden", "original", "transformer"):
            (folder / part.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / part.name).symlink_to(part)
    (folder / "transformer").mkdir()
    (folder / "transformer/config.json").symlink_to(data / model / "transformer/config.json")
    save_file(transformer, folder / "transformer/diffusion_pytorch_model.safetensors")
    return folder


def blob(bundle: Bundle, component: str, dtype: Any = np.float32) -> Array:
    file = bundle.package_paths(component)[0] / "Data/com.apple.CoreML/weights/weight.bin"
    return np.frombuffer(file.read_bytes(), dtype)


def hashes(bundle: Bundle) -> dict[str, str]:
    return {name: c.sha256 for name, c in bundle.components.items()}


def denoiser(source: Path, output: Path, **options: Any) -> Bundle:
    return convert(
        source, output, **({"size": SIZE, "components": ["denoiser"], "precision": "float32"} | options)
    )


@pytest.mark.parametrize("model", KOHYA)
def test_every_layout_gives_the_merge_by_hand(
    model: str, data: Path, tmp_path: Path, weights: Callable[[str], Tensors]
) -> None:
    """The same bytes from every layout, and the numbers of a checkpoint merged with NumPy."""
    own = weights(model)
    by_hand = source_with(data, model, merged(own, model, (1, SCALE)), tmp_path / "by-hand")
    expected = denoiser(by_hand, tmp_path / "expected")
    plain = denoiser(data / model, tmp_path / "plain")
    bundles = []
    for layout in LAYOUTS:
        file = tmp_path / f"{layout}.safetensors"
        save_file(lora(layout, model, own), file)
        bundles.append(denoiser(data / model, tmp_path / layout, lora=f"{file}:{SCALE}"))
    assert len({json.dumps(hashes(b)) for b in bundles}) == 1
    for name in ("modulation", "denoiser"):
        got, want, before = (blob(b, name) for b in (bundles[0], expected, plain))
        numbers = np.isfinite(want) & (np.abs(want) > 1e-20) & (np.abs(want) < 1e6)  # not the headers
        np.testing.assert_allclose(got[numbers], want[numbers], rtol=2e-6, atol=2e-6)
        assert np.abs(got - before)[numbers].max() > 0.1
    row = bundles[0].source["lora"]
    assert [(r["file"], r["scale"], len(r["sha256"])) for r in row] == [("diffusers.safetensors", SCALE, 64)]
    assert "lora" not in plain.source


def test_several_add_up_in_every_source_layout(
    data: Path, tmp_path: Path, weights: Callable[[str], Tensors]
) -> None:
    """Two LoRAs on a publisher's float16 file: the same as on a folder of the same values."""
    model = "sd3-medium-tiny"
    half = {k: v.astype(np.float16) for k, v in weights(model).items()}
    own = {k: v.astype(np.float32) for k, v in half.items()}
    files = []
    for seed, layout in ((1, "kohya"), (2, "diffusers")):
        files.append(tmp_path / f"{seed}.safetensors")
        save_file(lora(layout, model, own, seed), files[-1])
    folder = source_with(data, model, half, tmp_path / "half")
    by_hand = merged(own, model, (1, SCALE), (2, -0.5))
    expected = denoiser(source_with(data, model, by_hand, tmp_path / "by-hand"), tmp_path / "expected")
    bundle = denoiser(folder, tmp_path / "out", lora=[(files[0], SCALE), f"{files[1]}:-0.5"])
    got, want = blob(bundle, "denoiser"), blob(expected, "denoiser")
    numbers = np.isfinite(want) & (np.abs(want) > 1e-20) & (np.abs(want) < 1e6)
    np.testing.assert_allclose(got[numbers], want[numbers], rtol=2e-6, atol=2e-6)
    assert [row["scale"] for row in bundle.source["lora"]] == [SCALE, -0.5]


def test_a_single_file_as_the_source(data: Path, tmp_path: Path) -> None:
    """The publisher's last modulation holds shift before scale: a LoRA's rows are exchanged as the weight's."""
    folder = data / "flux-dev-tiny"
    transformer = load_file(folder / "transformer/diffusion_pytorch_model.safetensors")
    rng = np.random.default_rng(0)
    down = rng.standard_normal((2, 64)).astype(np.float32)
    up = rng.standard_normal((transformer["norm_out.linear.weight"].shape[0], 2)).astype(np.float32)
    swapped = np.concatenate([up[up.shape[0] // 2 :], up[: up.shape[0] // 2]])
    kohya, name = "lora_unet_final_layer_adaLN_modulation_1", "transformer.norm_out.linear"
    save_file(
        {f"{kohya}.lora_down.weight": down, f"{kohya}.lora_up.weight": swapped}, tmp_path / "k.safetensors"
    )
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, tmp_path / "d.safetensors")
    options: dict[str, Any] = {"tokenizers": folder}
    source = folder / "original" / "flux1.safetensors"
    plain = denoiser(source, tmp_path / "plain", **options)
    one = denoiser(source, tmp_path / "one", lora=tmp_path / "k.safetensors", **options)
    other = denoiser(source, tmp_path / "other", lora=[tmp_path / "d.safetensors"], **options)
    assert hashes(one) == hashes(other)
    assert hashes(one)["modulation"] != hashes(plain)["modulation"]
    assert hashes(one)["denoiser"] == hashes(plain)["denoiser"]


def test_text_encoders(data: Path, tmp_path: Path) -> None:
    """CLIP-L in Kohya's and diffusers' names; what is not converted is told of, and is no error."""
    source = data / "flux-dev-tiny"
    rng = np.random.default_rng(0)
    down, up = (rng.standard_normal(s).astype(np.float32) for s in ((2, 32), (32, 2)))
    layer = "text_model.encoder.layers.1.self_attn.v_proj"
    kohya = f"lora_te1_{layer.replace('.', '_')}"
    save_file({f"{kohya}.lora_down.weight": down, f"{kohya}.lora_up.weight": up}, tmp_path / "k.safetensors")
    name = f"text_encoder.{layer}"
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, tmp_path / "d.safetensors")
    options: dict[str, Any] = {"components": ["text_encoder"]}
    plain = denoiser(source, tmp_path / "plain", **options)
    one = denoiser(source, tmp_path / "one", lora=tmp_path / "k.safetensors", **options)
    other = denoiser(source, tmp_path / "other", lora=tmp_path / "d.safetensors", **options)
    assert hashes(one) == hashes(other) != hashes(plain)
    difference = np.abs(blob(one, "text_encoder") - blob(plain, "text_encoder"))
    assert np.count_nonzero(np.nan_to_num(difference)) == 32 * 32
    with pytest.raises(
        ConversionError, match=r"k\.safetensors only changes text_encoder \(1 layers\), which"
    ):
        denoiser(source, tmp_path / "out", lora=tmp_path / "k.safetensors")
    pair = load_file(tmp_path / "k.safetensors")
    pair |= {"transformer.x_embedder.lora_A.weight": np.ones((1, 64), np.float32)}
    pair |= {"transformer.x_embedder.lora_B.weight": np.ones((64, 1), np.float32)}
    save_file(pair, tmp_path / "both.safetensors")
    with pytest.warns(UserWarning, match=r"both\.safetensors also changes text_encoder \(1 layers\)"):
        denoiser(source, tmp_path / "out", lora=tmp_path / "both.safetensors")


def test_t5_by_kohyas_number(data: Path, tmp_path: Path) -> None:
    """`lora_te3_` is T5 in both families; the Hugging Face layout's folder differs."""
    rng = np.random.default_rng(0)
    for model, folder in (("sd3-medium-tiny", "text_encoder_3"), ("flux-dev-tiny", "text_encoder_2")):
        key = "encoder.block.0.layer.0.SelfAttention.q"
        shape = load_file(data / model / folder / "model.safetensors")[f"{key}.weight"].shape
        down, up = (rng.standard_normal(s).astype(np.float32) for s in ((2, shape[1]), (shape[0], 2)))
        found = []
        for name in (f"lora_te3_{key.replace('.', '_')}", f"{folder}.{key}"):
            file = tmp_path / "t.safetensors"
            save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, file)
            options: dict[str, Any] = {"components": ["text_encoder_3"], "overwrite": True}
            found.append(hashes(denoiser(data / model, tmp_path / model, lora=file, **options)))
        assert found[0] == found[1]


def test_the_patch_embedding_is_a_convolution(data: Path, tmp_path: Path, weights: Any) -> None:
    model = "sd3-medium-tiny"
    own = weights(model)
    rng = np.random.default_rng(0)
    down = rng.standard_normal((3, 16, 2, 2)).astype(np.float32)
    up = rng.standard_normal((64, 3, 1, 1)).astype(np.float32)
    name = "lora_unet_x_embedder_proj"
    save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, tmp_path / "c.safetensors")
    change = np.einsum("or,rchw->ochw", up[:, :, 0, 0], down)
    own["pos_embed.proj.weight"] = own["pos_embed.proj.weight"] + np.float32(0.5) * change
    expected = denoiser(source_with(data, model, own, tmp_path / "by-hand"), tmp_path / "expected")
    bundle = denoiser(data / model, tmp_path / "out", lora=f"{tmp_path / 'c.safetensors'}:0.5")
    got, want = blob(bundle, "denoiser"), blob(expected, "denoiser")
    numbers = np.isfinite(want) & (np.abs(want) > 1e-20) & (np.abs(want) < 1e6)
    np.testing.assert_allclose(got[numbers], want[numbers], rtol=2e-6, atol=2e-6)


def pair(name: str = "transformer.transformer_blocks.0.attn.to_q", **changes: Any) -> Tensors:
    """A LoRA of one layer of the tiny models."""
    return {
        f"{name}.lora_A.weight": np.ones(changes.get("down", (2, 64)), np.float32),
        f"{name}.lora_B.weight": np.ones(changes.get("up", (64, 2)), np.float32),
    }


ONE = np.ones(1, np.float32)
LAYER = "transformer.transformer_blocks.0.attn.to_q"

REFUSED: dict[str, tuple[Tensors, str]] = {
    "unknown layer": (
        pair("transformer.transformer_blocks.7.attn.to_q"),
        r"l\.safetensors does not belong to this checkpoint: 1 keys name no layer of the model: "
        r"transformer\.transformer_blocks\.7\.attn\.to_q\.lora_A\.weight: use a LoRA that was trained on this",
    ),
    "FLUX on SD3": (
        pair("lora_unet_single_blocks_0_linear1", up=(448, 2)),
        r"its keys are those of FLUX\.1, and the checkpoint is Stable Diffusion 3",
    ),
    "SDXL on SD3": (
        pair("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"),
        "its keys are those of Stable Diffusion 1, 2 or XL",
    ),
    "shapes": (
        pair(down=(2, 32), up=(64, 2)),
        r"1 pairs do not fit: .*to_q\.lora_A\.weight is \[2, 32\] and .*to_q\.lora_B\.weight is \[64, 2\], "
        r"expected \[r, 64\] and \[64, r\] for transformer_blocks\.0\.attn\.to_q\.weight \[64, 64\]",
    ),
    "fused shapes": (
        pair("lora_unet_joint_blocks_0_x_block_attn_qkv"),
        r"expected \[r, 64\] and \[192, r\] for .*to_q\.weight \[64, 64\] \+ .*to_k\.weight \[64, 64\]",
    ),
    "ranks": (pair(up=(64, 3)), r"is \[2, 64\] and .* is \[64, 3\]"),
    "DoRA": (pair() | {f"{LAYER}.lora_magnitude_vector": ONE}, r"is no plain LoRA, but DoRA \(transformer\."),
    "Kohya's DoRA": (pair() | {f"{LAYER}.dora_scale": ONE}, "but DoRA"),
    "LoHa": ({"lora_unet_joint_blocks_0_x_block_mlp_fc1.hada_w1_a": ONE}, "but LoHa"),
    "LoKr": ({"lora_unet_joint_blocks_0_x_block_mlp_fc1.lokr_w1": ONE}, "but LoKr"),
    "LoCon": (pair() | {"lora_unet_x.lora_mid.weight": ONE}, "but LoCon"),
    "biases": (pair() | {f"{LAYER}.lora_B.bias": ONE}, "but LoRA with biases"),
    "half": (
        {f"{LAYER}.lora_B.weight": np.ones((64, 2), np.float32)},
        r"l\.safetensors: half of a pair is missing beside .*to_q\.lora_B\.weight \(no down\); lora_A or",
    ),
    "twice": (
        pair() | {f"{LAYER}.lora.down.weight": np.ones((2, 64), np.float32)},
        "are the same half of one layer",
    ),
    "two pairs for one weight": (
        pair() | pair("lora_unet_transformer_blocks_0_attn_to_q"),
        r"changes transformer_blocks\.0\.attn\.to_q\.weight, which another pair of the file changes, too",
    ),
    "no LoRA": ({"x.weight": ONE}, r"has keys of no public LoRA layout: x\.weight: expected pairs such as"),
    "nothing": ({}, "of no public LoRA layout: none at all"),
    "alpha": (
        pair() | {f"{LAYER}.alpha": np.asarray(np.nan, np.float32)},
        r"l\.safetensors: .*to_q\.alpha holds 1 infinities or NaN in 1 values",
    ),
    "alpha in float64": (
        pair() | {f"{LAYER}.alpha": np.asarray(np.nan, np.float64)},
        r"to_q\.alpha is nan, expected a finite number",
    ),
    "alphas": (
        pair() | {f"{LAYER}.alpha": np.ones(2, np.float32)},
        r"has the shape \[2\], expected one number",
    ),
    "infinite": (
        pair() | {f"{LAYER}.lora_B.weight": np.full((64, 2), np.inf, np.float32)},
        r"l\.safetensors: .*lora_B\.weight holds 128 infinities or NaN in 128 values",
    ),
    "infinite product": (
        pair() | {f"{LAYER}.lora_B.weight": np.full((64, 2), 3e38, np.float32)},
        "holds infinities or NaN: the file is damaged",
    ),
    "encoder of no family": (pair("text_encoder_4.x"), "1 keys name no layer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, data: Path, tmp_path: Path) -> None:
    tensors, message = REFUSED[case]
    save_file(tensors, tmp_path / "l.safetensors")
    with pytest.raises((ConversionError, CheckpointError), match=message):
        denoiser(data / "sd3-medium-tiny", tmp_path / "out", lora=tmp_path / "l.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["l.safetensors"]


def test_a_value_beyond_float16(data: Path, tmp_path: Path) -> None:
    save_file(pair(), tmp_path / "l.safetensors")
    choice = (tmp_path / "l.safetensors", 1e5)
    with pytest.raises(ConversionError, match=r"merged with .*l\.safetensors, holds a value beyond 65504"):
        denoiser(data / "sd3-medium-tiny", tmp_path / "out", lora=[choice], precision="float16")
    denoiser(data / "sd3-medium-tiny", tmp_path / "out", lora=[choice])


def test_scales_and_paths(tmp_path: Path) -> None:
    file = tmp_path / "a:b.safetensors"
    save_file(pair(), file)
    assert [(x.path, x.scale) for x in open_loras(str(file))] == [(file, 1.0)]
    assert [x.scale for x in open_loras([file, f"{file}:0.5", (file, -2)])] == [1.0, 0.5, -2.0]
    assert [x.scale for x in open_loras([f"{file}:-.5", f"{file}:1e-2"])] == [-0.5, 0.01]
    for scale in ("nan", "inf", "half", "", "1,5"):
        with pytest.raises(UsageError, match=rf"the scale of the LoRA .*b\.safetensors is '{scale}'"):
            open_loras(f"{file}:{scale}")
    with pytest.raises(UsageError, match=r"lora holds 0\.5, expected a path"):
        open_loras((str(file), 0.5))  # type: ignore[arg-type]
    with pytest.raises(
        UsageError, match=r"the scale of the LoRA gone\.safetensors is 'x', expected a finite"
    ):
        open_loras("gone.safetensors:x")
    with pytest.raises(CheckpointError, match=r"C:\\loras\\a\.safetensors cannot be read"):
        open_loras(r"C:\loras\a.safetensors")
    with pytest.raises(CheckpointError, match=r"C:\\loras\\a\.safetensors cannot be read"):
        open_loras(r"C:\loras\a.safetensors:0.5")
    with pytest.raises(ConversionError, match=r"l\.ckpt is a pickle, not a safetensors file"):
        open_loras("l.ckpt")


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float64, np.float16])
def test_an_alpha_of_any_dtype(tmp_path: Path, dtype: Any) -> None:
    """Kohya saves an alpha that was given as an integer as int64."""
    save_file(pair() | {f"{LAYER}.alpha": np.asarray(8, dtype)}, tmp_path / "l.safetensors")
    (found,) = open_loras(tmp_path / "l.safetensors")
    assert found.factor("transformer", "transformer_blocks.0.attn.to_q") == 8 / 2


def test_pefts_alpha(tmp_path: Path) -> None:
    """diffusers keeps PEFT's config in the file's metadata, PEFT itself beside the file."""
    config = {"r": 2, "lora_alpha": 8, "alpha_pattern": {"to_k": 1}, "use_rslora": False}
    tensors = pair() | pair("transformer.transformer_blocks.0.attn.to_k")
    metadata = {"lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in config.items()})}
    save_file(tensors, tmp_path / "d.safetensors", metadata)
    (found,) = open_loras([(tmp_path / "d.safetensors", 0.5)])
    assert found.factor("transformer", "transformer_blocks.0.attn.to_q") == 0.5 * 8 / 2
    assert found.factor("transformer", "transformer_blocks.0.attn.to_k") == 0.5 * 1 / 2
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    (found,) = open_loras(tmp_path / "adapter_model.safetensors")
    assert found.factor("transformer", "transformer_blocks.0.attn.to_q") == pytest.approx(8 / 2**0.5)
    save_file(tensors, tmp_path / "p.safetensors")
    (found,) = open_loras(tmp_path / "p.safetensors")
    assert found.factor("transformer", "transformer_blocks.0.attn.to_q") == 1.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[" * 100_000, "its adapter's config is not JSON .it is nested too deep"),
        (json.dumps({"transformer.lora_alpha": 10**400}), "the alpha 1000.*, expected a finite number"),
        (json.dumps({"transformer.lora_alpha": "8"}), "the alpha 8, expected a finite number"),
        (json.dumps({"transformer.alpha_pattern": {"(": 1}}), "alpha_pattern '.', which is no regular expr"),
    ],
)
def test_pefts_configs_that_are_wrong(data: Path, tmp_path: Path, config: str, message: str) -> None:
    save_file(pair(), tmp_path / "l.safetensors", {"lora_adapter_metadata": config})
    with pytest.raises(ConversionError, match=message):
        denoiser(data / "sd3-medium-tiny", tmp_path / "out", lora=tmp_path / "l.safetensors")
    assert not (tmp_path / "out").exists()


def test_a_config_and_a_scale_that_are_wrong(tmp_path: Path) -> None:
    save_file(pair(), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ConversionError, match=r"its adapter's config is not JSON .*0xff"):
        open_loras(tmp_path / "adapter_model.safetensors")
    with pytest.raises(UsageError, match=r"the scale of the LoRA .* is 1000*, expected a finite number"):
        open_loras([(tmp_path / "adapter_model.safetensors", 10**400)])


def test_a_repository_is_no_lora() -> None:
    with pytest.raises(ConversionError, match=r"there is no file some/lora: .*`hf download some/lora`"):
        open_loras("some/lora:0.5")


def test_the_gate_and_verify_merge_the_same(
    data: Path, tmp_path: Path, weights: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strong LoRA passes the gate, which a reference without it would not; verify asks for it."""
    model = "sd3-medium-tiny"
    save_file(lora("kohya", model, weights(model)), tmp_path / "l.safetensors")
    choice = f"{tmp_path / 'l.safetensors'}:0.5"
    line = [
        "convert",
        str(data / model),
        "-o",
        str(tmp_path / "b"),
        "--size",
        "128x128",
        "--quiet",
        "--verify",
    ]
    line += ["--components", "denoiser,vae_decoder", "--quantize", "denoiser=int8", "--lora", choice]
    assert run_command(line) == 0, capsys.readouterr().err
    bundle = Bundle.read(tmp_path / "b")
    assert bundle.accuracy["passed"] is True
    check = ["verify", str(tmp_path / "b"), "--against", str(data / model)]
    assert run_command(check) == 2
    error = capsys.readouterr().err
    assert "was converted with --lora l.safetensors:0.5, but it is to be compared with" in error
    assert "no LoRA: name the same files and scales with --lora" in error
    assert run_command([*check, "--lora", choice]) == 0
    assert run_command(["verify", str(tmp_path / "b"), "--ranges", *check[2:], "--lora", choice]) == 0
    assert "values overflow" in capsys.readouterr().out
    assert run_command([*line, "--overwrite", "--dry-run"]) == 0
    unknown = tmp_path / "u.safetensors"
    save_file(pair("lora_unet_single_blocks_0_linear2"), unknown)
    assert run_command([*line[:-1], str(unknown), "--overwrite", "--dry-run"]) == 1
    assert "its keys are those of FLUX.1" in capsys.readouterr().err
    with pytest.raises(UsageError, match="name the same files and scales"):
        verify_backends(bundle, data / model, lora=f"{tmp_path / 'l.safetensors'}:0.4")
    assert run_command([*line[:-1], f"{tmp_path / 'l.safetensors'}:nan", "--overwrite"]) != 0
    assert "is 'nan', expected a finite number" in capsys.readouterr().err
