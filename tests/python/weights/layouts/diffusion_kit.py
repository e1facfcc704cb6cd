"""A diffusers-layout transformer and autoencoder in the layout that DiffusionKit saves its own models in.

Written after argmaxinc/DiffusionKit's model_io.py and mmdit.py (what its loaders do to the publishers' keys), not
after Tintype's tables.
"""

from typing import Any

import mlx.core as mx
import numpy as np

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]

STREAMS = {
    "image": {"p": "attn.to_{}", "o": "attn.to_out.0", "n": "attn.norm_{}", "m": "norm1.linear", "f": "ff"},
    "text": {
        "p": "attn.add_{}_proj",
        "o": "attn.to_add_out",
        "n": "attn.norm_added_{}",
        "m": "norm1_context.linear",
        "f": "ff_context",
    },
}


class _Renamer:
    """Moves layers from `old` into `new`."""

    def __init__(self, old: Arrays) -> None:
        self.old, self.new = dict(old), Arrays()

    def move(self, name: str, key: str, change: Any = lambda value: value) -> None:
        for kind in ("weight", "bias"):
            if f"{key}.{kind}" in self.old:
                self.new[f"{name}.{kind}"] = change(self.old.pop(f"{key}.{kind}"))


def exchanged(value: Array) -> Array:
    """(scale, shift) ↔ (shift, scale)."""
    return np.concatenate(np.split(value, 2)[::-1])


def transformer(tensors: Arrays) -> Arrays:
    """SD3's or FLUX's transformer; the biases of keys are left out, as DiffusionKit's layers have none."""
    r = _Renamer(tensors)
    last = max(int(key.split(".")[1]) for key in tensors if key.startswith("transformer_blocks."))
    flux = any(key.startswith("single_") for key in tensors)
    for kit, ours in (("t_embedder", "timestep"), ("y_embedder", "text"), ("guidance_in", "guidance")):
        for layer, number in ((0, 1), (2, 2)):
            r.move(f"{kit}.mlp.layers.{layer}", f"time_text_embed.{ours}_embedder.linear_{number}")
    r.move("context_embedder", "context_embedder")
    r.move("final_layer.linear", "proj_out")
    r.move("final_layer.adaLN_modulation.layers.1", "norm_out.linear", exchanged)
    if flux:
        r.move("x_embedder.proj", "x_embedder", lambda v: v[:, None, None, :] if v.ndim == 2 else v)
    else:
        r.move("x_embedder.proj", "pos_embed.proj", lambda v: v.transpose(0, 2, 3, 1) if v.ndim == 4 else v)
        r.new["x_pos_embedder.pos_embed.weight"] = r.old.pop("pos_embed.pos_embed")[0]
    for i in range(last + 1):
        for stream, names in STREAMS.items():
            block, ours = (
                f"multimodal_transformer_blocks.{i}.{stream}_transformer_block",
                f"transformer_blocks.{i}",
            )
            r.old.pop(f"{ours}.{names['p'].format('k')}.bias")
            for n in "qkv":
                r.move(f"{block}.attn.{n}_proj", f"{ours}.{names['p'].format(n)}")
            for n in "qk":
                r.move(f"{block}.qk_norm.{n}_norm", f"{ours}.{names['n'].format(n)}")
            r.move(f"{block}.attn.o_proj", f"{ours}.{names['o']}")
            cut = stream == "text" and i == last and not flux
            r.move(
                f"{block}.adaLN_modulation.layers.1",
                f"{ours}.{names['m']}",
                exchanged if cut else lambda v: v,
            )
            r.move(f"{block}.mlp.fc1", f"{ours}.{names['f']}.net.0.proj")
            r.move(f"{block}.mlp.fc2", f"{ours}.{names['f']}.net.2")
    single = {int(key.split(".")[1]) for key in tensors if key.startswith("single_transformer_blocks.")}
    for i in sorted(single):
        block, ours = f"unified_transformer_blocks.{i}.transformer_block", f"single_transformer_blocks.{i}"
        r.old.pop(f"{ours}.attn.to_k.bias")
        for n in "qkv":
            r.move(f"{block}.attn.{n}_proj", f"{ours}.attn.to_{n}")
        for n in "qk":
            r.move(f"{block}.qk_norm.{n}_norm", f"{ours}.attn.norm_{n}")
        r.move(f"{block}.adaLN_modulation.layers.1", f"{ours}.norm.linear")
        r.move(f"{block}.mlp.fc1", f"{ours}.proj_mlp")
        weight, bias = (r.old.pop(f"{ours}.proj_out.{kind}") for kind in ("weight", "bias"))
        attention, mlp = np.split(weight, [weight.shape[0]], axis=1)
        r.new |= {f"{block}.attn.o_proj.weight": attention, f"{block}.mlp.fc2.weight": mlp}
        r.new |= {f"{block}.attn.o_proj.bias": bias, f"{block}.mlp.fc2.bias": bias.copy()}
    assert not r.old, list(r.old)
    return {key: np.ascontiguousarray(value) for key, value in r.new.items()}


def autoencoder(tensors: Arrays) -> Arrays:
    """SD3's or FLUX's autoencoder, with kernels (O, H, W, I) and without the convolutions at the latent."""
    new = Arrays()
    for key, value in tensors.items():
        for old, name in (
            ("mid_block.resnets.0", "mid_blocks.0"),
            ("mid_block.resnets.1", "mid_blocks.2"),
            ("mid_block.attentions.0", "mid_blocks.1"),
            ("to_q", "query_proj"),
            ("to_k", "key_proj"),
            ("to_v", "value_proj"),
            ("to_out.0", "out_proj"),
            ("downsamplers.0.conv", "downsample"),
            ("upsamplers.0.conv", "upsample"),
        ):
            key = key.replace(old, name)
        part, blocks, number, *rest = key.split(".")
        if (part, blocks) == ("decoder", "up_blocks"):  # DiffusionKit counts them from the image
            key = ".".join((part, blocks, str(3 - int(number)), *rest))
        if value.ndim == 4:
            value = value.transpose(0, 2, 3, 1)
            value = value[:, 0, 0] if "conv_shortcut" in key else value
        new[key] = np.ascontiguousarray(value)
    return new


def quantized(tensors: Arrays, group: int = 64) -> tuple[Arrays, Arrays]:
    """The linear layers as `mlx.nn.quantize` leaves them (4 bits), and every tensor after dequantizing."""
    stored, exact = Arrays(), Arrays()
    for key, value in tensors.items():
        linear = key.endswith(".weight") and value.ndim == 2 and "pos_embed" not in key
        if not linear or value.shape[1] % group:
            stored[key] = exact[key] = value
            continue
        codes, scales, biases = mx.quantize(mx.array(value), group_size=group, bits=4)
        base = key.removesuffix("weight")
        stored |= {key: np.array(codes), f"{base}scales": np.array(scales), f"{base}biases": np.array(biases)}
        wide = (codes, scales.astype(mx.float32), biases.astype(mx.float32))
        exact[key] = np.array(mx.dequantize(*wide, group_size=group, bits=4))
    return stored, exact
