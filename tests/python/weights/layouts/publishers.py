"""A diffusers-layout transformer under the keys of the publishers' single files (Stability AI's sd3_impls.py, Black
Forest Labs' model.py): queries, keys and values fused, and shift before scale in the last norms."""

from typing import Any

import numpy as np

from .diffusion_kit import exchanged

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]

SD3 = {
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "final_layer.linear": "proj_out",
}
FLUX = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "final_layer.linear": "proj_out",
}
SD3_BLOCK = {
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.proj": "attn2.to_out.0",
    "context_block.attn.proj": "attn.to_add_out",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "context_block.adaLN_modulation.1": "norm1_context.linear",
    **{f"x_block.attn.ln_{n}": f"attn.norm_{n}" for n in "qk"},
    **{f"x_block.attn2.ln_{n}": f"attn2.norm_{n}" for n in "qk"},
    **{f"context_block.attn.ln_{n}": f"attn.norm_added_{n}" for n in "qk"},
}
SD3_FUSED = {
    "x_block.attn.qkv": "attn.to_{}",
    "x_block.attn2.qkv": "attn2.to_{}",
    "context_block.attn.qkv": "attn.add_{}_proj",
}
FLUX_BLOCK = {
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
}
FLUX_FUSED = {"img_attn.qkv": "attn.to_{}", "txt_attn.qkv": "attn.add_{}_proj"}
NORMS = {"query_norm": "q", "key_norm": "k"}


def transformer(tensors: Arrays) -> Arrays:
    """The tensors under the publishers' keys; every one is used."""
    left, new = dict(tensors), Arrays()
    flux = any(key.startswith("single_") for key in tensors)

    def move(name: str, key: str, change: Any = lambda value: value) -> None:
        for kind in ("weight", "bias"):
            if f"{key}.{kind}" in left:
                new[f"{name}.{kind}"] = change(left.pop(f"{key}.{kind}"))

    def fuse(name: str, keys: list[str]) -> None:
        for kind in ("weight", "bias"):
            if f"{keys[0]}.{kind}" in left:
                new[f"{name}.{kind}"] = np.concatenate([left.pop(f"{key}.{kind}") for key in keys])

    for name, key in (FLUX if flux else SD3).items():
        move(name, key)
    move("final_layer.adaLN_modulation.1", "norm_out.linear", exchanged)
    if not flux:
        new["pos_embed"] = left.pop("pos_embed.pos_embed")
    count = 1 + max(int(key.split(".")[1]) for key in tensors if key.startswith("transformer_blocks."))
    for i in range(count):
        block, key = f"{'double' if flux else 'joint'}_blocks.{i}", f"transformer_blocks.{i}"
        for name, form in (FLUX_FUSED if flux else SD3_FUSED).items():
            fuse(f"{block}.{name}", [f"{key}.{form.format(n)}" for n in "qkv"])
        if i == count - 1 and not flux:
            move(f"{block}.context_block.adaLN_modulation.1", f"{key}.norm1_context.linear", exchanged)
        for name, layer in (FLUX_BLOCK if flux else SD3_BLOCK).items():
            move(f"{block}.{name}", f"{key}.{layer}")
        for long, n in NORMS.items() if flux else ():
            new[f"{block}.img_attn.norm.{long}.scale"] = left.pop(f"{key}.attn.norm_{n}.weight")
            new[f"{block}.txt_attn.norm.{long}.scale"] = left.pop(f"{key}.attn.norm_added_{n}.weight")
    for i in sorted({int(k.split(".")[1]) for k in tensors if k.startswith("single_transformer_blocks.")}):
        block, key = f"single_blocks.{i}", f"single_transformer_blocks.{i}"
        fuse(f"{block}.linear1", [*(f"{key}.attn.to_{n}" for n in "qkv"), f"{key}.proj_mlp"])
        move(f"{block}.linear2", f"{key}.proj_out")
        move(f"{block}.modulation.lin", f"{key}.norm.linear")
        for long, n in NORMS.items():
            new[f"{block}.norm.{long}.scale"] = left.pop(f"{key}.attn.norm_{n}.weight")
    assert not left, list(left)
    return new
