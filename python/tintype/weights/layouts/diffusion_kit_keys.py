"""DiffusionKit's own key layout as rows of data: its keys → the names in `tintype.models`.

Its plain checkpoints (argmaxinc/mlx-…) have the publishers' keys; the quantized ones are saved from its
models, which name both families' blocks alike, have no bias of keys, cut a single block's last layer by
columns in two, and keep kernels as MLX does, (O, H, W, I).
"""

import re
from collections.abc import Mapping
from functools import partial

import numpy as np

from ...weight import ComputedWeight, Weight
from ..storage.view import JoinedColumns
from .original_keys import Row, rename, swapped

__all__ = ["FLUX", "FLUX_MARK", "SD3", "SD3_MARK", "VAE_MARK", "autoencoder_rows", "completed"]

#: Keys that only this layout has.
SD3_MARK = "x_pos_embedder.pos_embed.weight"
FLUX_MARK = "unified_transformer_blocks.0.transformer_block.attn.q_proj.weight"
VAE_MARK = "decoder.mid_blocks.0.conv1.weight"

_BLOCK, _TARGET = r"multimodal_transformer_blocks\.(\d+)", r"transformer_blocks.\1"
_SINGLE = r"unified_transformer_blocks\.(\d+)\.transformer_block"
_SINGLE_TARGET = r"single_transformer_blocks.\1"

#: Between a layer and the number of one of its column pieces, until `completed` joins them.
_COLUMNS = "/columns/"


def _stream(stream: str, projections: str, out: str, norm: str, modulation: str, mlp: str) -> tuple[Row, ...]:
    """One stream of a block of two."""
    block = rf"{_BLOCK}\.{stream}_transformer_block"
    return (
        *(rename(rf"{block}\.attn\.{n}_proj", f"{_TARGET}.attn.{projections.format(n)}") for n in "qkv"),
        rename(rf"{block}\.attn\.o_proj", f"{_TARGET}.attn.{out}"),
        *(rename(rf"{block}\.qk_norm\.{n}_norm", f"{_TARGET}.attn.{norm}_{n}") for n in "qk"),
        rename(rf"{block}\.adaLN_modulation\.layers\.1", f"{_TARGET}.{modulation}.linear"),
        rename(rf"{block}\.mlp\.fc1", f"{_TARGET}.{mlp}.net.0.proj"),
        rename(rf"{block}\.mlp\.fc2", f"{_TARGET}.{mlp}.net.2"),
    )


_COMMON = (
    *(
        rename(rf"{name}\.mlp\.layers\.{layer}", f"time_text_embed.{embedder}.linear_{number}")
        for name, embedder in (
            ("t_embedder", "timestep_embedder"),
            ("y_embedder", "text_embedder"),
            ("guidance_in", "guidance_embedder"),
        )
        for layer, number in ((0, 1), (2, 2))
    ),
    rename(r"final_layer\.linear", "proj_out"),
    swapped(r"final_layer\.adaLN_modulation\.layers\.1", "norm_out.linear"),
    *_stream("image", "to_{}", "to_out.0", "norm", "norm1", "ff"),
    *_stream("text", "add_{}_proj", "to_add_out", "norm_added", "norm1_context", "ff_context"),
)

SD3 = (
    Row(r"x_pos_embedder\.pos_embed\.weight", (("pos_embed.pos_embed", (0,)),), form="batch"),
    rename(r"x_embedder\.proj", "pos_embed.proj", "kernel"),
    # The last block's text is only shifted and scaled, in the other order than diffusers'.
    swapped(
        r"multimodal_transformer_blocks\.({last})\.text_transformer_block\.adaLN_modulation\.layers\.1",
        f"{_TARGET}.norm1_context.linear",
    ),
    *_COMMON,
)

FLUX = (
    rename(r"x_embedder\.proj", "x_embedder", "matrix"),
    *(rename(rf"{_SINGLE}\.attn\.{n}_proj", f"{_SINGLE_TARGET}.attn.to_{n}") for n in "qkv"),
    *(rename(rf"{_SINGLE}\.qk_norm\.{n}_norm", f"{_SINGLE_TARGET}.attn.norm_{n}") for n in "qk"),
    rename(rf"{_SINGLE}\.adaLN_modulation\.layers\.1", f"{_SINGLE_TARGET}.norm.linear"),
    rename(rf"{_SINGLE}\.mlp\.fc1", f"{_SINGLE_TARGET}.proj_mlp"),
    # Rotations of the last picture, which a model that has run saves as well.
    Row(r"pre_sdpa_rope\..*", ()),
    # Both halves hold the bias of the whole, which counts once.
    Row(rf"{_SINGLE}\.attn\.o_proj\.bias", ((f"{_SINGLE_TARGET}.proj_out.bias", (0,)),)),
    Row(rf"{_SINGLE}\.mlp\.fc2\.bias", ()),
    Row(rf"{_SINGLE}\.attn\.o_proj\.weight", ((f"{_SINGLE_TARGET}.proj_out.weight{_COLUMNS}0", (0,)),)),
    Row(rf"{_SINGLE}\.mlp\.fc2\.weight", ((f"{_SINGLE_TARGET}.proj_out.weight{_COLUMNS}1", (0,)),)),
    *_COMMON,
)


def autoencoder_rows(stages: int) -> tuple[Row, ...]:
    """The autoencoder; the decoder's stages are counted from the image."""
    half, middle = "(encoder|decoder)", r"\1.mid_block"
    resnet = r"(norm\d|conv\d|conv_shortcut)"
    projections = (
        ("query_proj", "to_q"),
        ("key_proj", "to_k"),
        ("value_proj", "to_v"),
        ("out_proj", "to_out.0"),
    )
    rows = [
        rename(rf"{half}\.(conv_in|conv_out)", r"\1.\2", "kernel"),
        *(
            rename(rf"{half}\.mid_blocks\.{old}\.{resnet}", rf"{middle}.resnets.{new}.\2", "kernel")
            for old, new in ((0, 0), (2, 1))
        ),
        rename(rf"{half}\.mid_blocks\.1\.group_norm", f"{middle}.attentions.0.group_norm"),
        *(
            rename(rf"{half}\.mid_blocks\.1\.{old}", f"{middle}.attentions.0.{new}")
            for old, new in projections
        ),
    ]
    for index in range(stages):
        down, up = rf"encoder\.down_blocks\.{index}", rf"decoder\.up_blocks\.{index}"
        to_down, to_up = f"encoder.down_blocks.{index}", f"decoder.up_blocks.{stages - 1 - index}"
        rows += (
            rename(rf"{down}\.resnets\.(\d+)\.{resnet}", rf"{to_down}.resnets.\1.\2", "kernel"),
            rename(rf"{up}\.resnets\.(\d+)\.{resnet}", rf"{to_up}.resnets.\1.\2", "kernel"),
            rename(rf"{down}\.downsample", f"{to_down}.downsamplers.0.conv", "kernel"),
            rename(rf"{up}\.upsample", f"{to_up}.upsamplers.0.conv", "kernel"),
        )
    return tuple(rows)


def completed(tensors: Mapping[str, Weight]) -> dict[str, Weight]:
    """The tensors after the rows, with pieces joined and zeros for the biases of keys that are not there."""
    found: dict[str, Weight] = {}
    for key, tensor in tensors.items():
        name, mark, number = key.partition(_COLUMNS)
        if mark and number == "0":
            pieces = (tensor, tensors.get(f"{name}{_COLUMNS}1"))
            found[name] = JoinedColumns(name, tuple(piece for piece in pieces if piece is not None))
        elif not mark:
            found[key] = tensor
        match = re.fullmatch(r"(.*\.(?:to_k|add_k_proj))\.weight", key)
        if match is not None and f"{match[1]}.bias" not in tensors:
            bias, width = f"{match[1]}.bias", tensor.shape[0]
            found[bias] = ComputedWeight(bias, (width,), partial(np.zeros, width, np.float32))
    return found
