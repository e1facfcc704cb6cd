"""The publishers' key layouts as rows of data: keys of single files → the names in `tintype.models`.

Stability AI's and Black Forest Labs' own code fuses queries, keys and values, orders shift before scale in
the last norm, and names the autoencoder as latent-diffusion did; OpenCLIP fuses as well and keeps the
projection transposed. Nothing is read here: a row says which rows of a tensor go where.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...weight import Weight
from ..storage.view import Form, TensorView

__all__ = ["CLIP", "FLUX", "SD3", "T5", "Row", "apply_rows", "autoencoder_rows", "rename", "swapped"]


#: What Stability AI's code, and DiffusionKit's, call the blocks of two streams.
JOINT_BLOCKS = "joint_blocks|multimodal_transformer_blocks"


@dataclass(frozen=True)
class Row:
    """Keys that match `pattern` in full are cut into `shares` of their rows, which `targets` are made of.

    A target is a key and the numbers of its pieces, in order. `form` is what becomes of the axes. Without
    targets the tensor is left out. `{last}` in a pattern is the number of the last joint block.
    """

    pattern: str
    targets: tuple[tuple[str, tuple[int, ...]], ...]
    shares: tuple[int, ...] = (1,)
    form: Form = "as it is"


def rename(pattern: str, key: str, form: Form = "as it is") -> Row:
    """A layer under another name, weight and bias alike."""
    return Row(rf"{pattern}\.(?P<kind>weight|bias)", ((rf"{key}.\g<kind>", (0,)),), form=form)


def swapped(pattern: str, key: str) -> Row:
    """(shift, scale) → (scale, shift)."""
    return Row(rf"{pattern}\.(?P<kind>weight|bias)", ((rf"{key}.\g<kind>", (1, 0)),), (1, 1))


def _fused(pattern: str, keys: Sequence[str], shares: tuple[int, ...] = (1, 1, 1)) -> Row:
    """One layer that holds several, one after another."""
    targets = tuple((rf"{key}.\g<kind>", (number,)) for number, key in enumerate(keys))
    return Row(rf"{pattern}\.(?P<kind>weight|bias)", targets, shares)


def _scale(pattern: str, key: str) -> Row:
    """A norm's weight, called scale."""
    return Row(rf"{pattern}\.scale", ((f"{key}.weight", (0,)),))


_JOINT, _SD3_BLOCK = r"joint_blocks\.(\d+)", r"transformer_blocks.\1"
_DOUBLE, _SINGLE = r"double_blocks\.(\d+)", r"single_blocks\.(\d+)"
_FLUX_SINGLE = r"single_transformer_blocks.\1"

SD3 = (
    Row(r"pos_embed", (("pos_embed.pos_embed", (0,)),)),
    rename(r"x_embedder\.proj", "pos_embed.proj"),
    rename(r"t_embedder\.mlp\.0", "time_text_embed.timestep_embedder.linear_1"),
    rename(r"t_embedder\.mlp\.2", "time_text_embed.timestep_embedder.linear_2"),
    rename(r"y_embedder\.mlp\.0", "time_text_embed.text_embedder.linear_1"),
    rename(r"y_embedder\.mlp\.2", "time_text_embed.text_embedder.linear_2"),
    rename(r"final_layer\.linear", "proj_out"),
    swapped(r"final_layer\.adaLN_modulation\.1", "norm_out.linear"),
    _fused(rf"{_JOINT}\.x_block\.attn\.qkv", [rf"{_SD3_BLOCK}.attn.to_{n}" for n in "qkv"]),
    _fused(rf"{_JOINT}\.x_block\.attn2\.qkv", [rf"{_SD3_BLOCK}.attn2.to_{n}" for n in "qkv"]),
    _fused(rf"{_JOINT}\.context_block\.attn\.qkv", [rf"{_SD3_BLOCK}.attn.add_{n}_proj" for n in "qkv"]),
    rename(rf"{_JOINT}\.x_block\.attn\.ln_([qk])", rf"{_SD3_BLOCK}.attn.norm_\2"),
    rename(rf"{_JOINT}\.x_block\.attn2\.ln_([qk])", rf"{_SD3_BLOCK}.attn2.norm_\2"),
    rename(rf"{_JOINT}\.context_block\.attn\.ln_([qk])", rf"{_SD3_BLOCK}.attn.norm_added_\2"),
    rename(rf"{_JOINT}\.x_block\.attn\.proj", rf"{_SD3_BLOCK}.attn.to_out.0"),
    rename(rf"{_JOINT}\.x_block\.attn2\.proj", rf"{_SD3_BLOCK}.attn2.to_out.0"),
    rename(rf"{_JOINT}\.context_block\.attn\.proj", rf"{_SD3_BLOCK}.attn.to_add_out"),
    rename(rf"{_JOINT}\.x_block\.adaLN_modulation\.1", rf"{_SD3_BLOCK}.norm1.linear"),
    # The last block's text is only shifted and scaled, in the other order than diffusers'.
    swapped(
        r"joint_blocks\.({last})\.context_block\.adaLN_modulation\.1", rf"{_SD3_BLOCK}.norm1_context.linear"
    ),
    rename(rf"{_JOINT}\.context_block\.adaLN_modulation\.1", rf"{_SD3_BLOCK}.norm1_context.linear"),
    rename(rf"{_JOINT}\.x_block\.mlp\.fc1", rf"{_SD3_BLOCK}.ff.net.0.proj"),
    rename(rf"{_JOINT}\.x_block\.mlp\.fc2", rf"{_SD3_BLOCK}.ff.net.2"),
    rename(rf"{_JOINT}\.context_block\.mlp\.fc1", rf"{_SD3_BLOCK}.ff_context.net.0.proj"),
    rename(rf"{_JOINT}\.context_block\.mlp\.fc2", rf"{_SD3_BLOCK}.ff_context.net.2"),
)

FLUX = (
    rename(r"img_in", "x_embedder"),
    rename(r"txt_in", "context_embedder"),
    *(
        rename(rf"{name}\.{layer}", f"time_text_embed.{embedder}.{linear}")
        for name, embedder in (
            ("time_in", "timestep_embedder"),
            ("vector_in", "text_embedder"),
            ("guidance_in", "guidance_embedder"),
        )
        for layer, linear in (("in_layer", "linear_1"), ("out_layer", "linear_2"))
    ),
    rename(r"final_layer\.linear", "proj_out"),
    swapped(r"final_layer\.adaLN_modulation\.1", "norm_out.linear"),
    rename(rf"{_DOUBLE}\.img_mod\.lin", rf"{_SD3_BLOCK}.norm1.linear"),
    rename(rf"{_DOUBLE}\.txt_mod\.lin", rf"{_SD3_BLOCK}.norm1_context.linear"),
    _fused(rf"{_DOUBLE}\.img_attn\.qkv", [rf"{_SD3_BLOCK}.attn.to_{n}" for n in "qkv"]),
    _fused(rf"{_DOUBLE}\.txt_attn\.qkv", [rf"{_SD3_BLOCK}.attn.add_{n}_proj" for n in "qkv"]),
    *(
        _scale(rf"{_DOUBLE}\.{stream}_attn\.norm\.{long}_norm", rf"{_SD3_BLOCK}.attn.{norm}_{short}")
        for stream, norm in (("img", "norm"), ("txt", "norm_added"))
        for long, short in (("query", "q"), ("key", "k"))
    ),
    rename(rf"{_DOUBLE}\.img_attn\.proj", rf"{_SD3_BLOCK}.attn.to_out.0"),
    rename(rf"{_DOUBLE}\.txt_attn\.proj", rf"{_SD3_BLOCK}.attn.to_add_out"),
    *(
        rename(rf"{_DOUBLE}\.{stream}_mlp\.{old}", rf"{_SD3_BLOCK}.{ff}.net.{new}")
        for stream, ff in (("img", "ff"), ("txt", "ff_context"))
        for old, new in (("0", "0.proj"), ("2", "2"))
    ),
    rename(rf"{_SINGLE}\.modulation\.lin", rf"{_FLUX_SINGLE}.norm.linear"),
    _fused(
        rf"{_SINGLE}\.linear1",
        [*(rf"{_FLUX_SINGLE}.attn.to_{n}" for n in "qkv"), rf"{_FLUX_SINGLE}.proj_mlp"],
        (1, 1, 1, 4),
    ),
    rename(rf"{_SINGLE}\.linear2", rf"{_FLUX_SINGLE}.proj_out"),
    _scale(rf"{_SINGLE}\.norm\.query_norm", rf"{_FLUX_SINGLE}.attn.norm_q"),
    _scale(rf"{_SINGLE}\.norm\.key_norm", rf"{_FLUX_SINGLE}.attn.norm_k"),
)

_OPENCLIP, _CLIP_LAYER = r"transformer\.resblocks\.(\d+)", r"text_model.encoder.layers.\1"
_IN_PROJ = tuple((rf"{_CLIP_LAYER}.self_attn.{n}_proj.\g<kind>", (i,)) for i, n in enumerate("qkv"))

CLIP = (
    Row(r"(?:.*\.)?(?:logit_scale|position_ids)", ()),
    Row(rf"{_OPENCLIP}\.attn\.in_proj_(?P<kind>weight|bias)", _IN_PROJ, (1, 1, 1)),
    rename(rf"{_OPENCLIP}\.attn\.out_proj", rf"{_CLIP_LAYER}.self_attn.out_proj"),
    rename(rf"{_OPENCLIP}\.ln_([12])", rf"{_CLIP_LAYER}.layer_norm\2"),
    rename(rf"{_OPENCLIP}\.mlp\.c_fc", rf"{_CLIP_LAYER}.mlp.fc1"),
    rename(rf"{_OPENCLIP}\.mlp\.c_proj", rf"{_CLIP_LAYER}.mlp.fc2"),
    Row(r"token_embedding\.weight", (("text_model.embeddings.token_embedding.weight", (0,)),)),
    Row(r"positional_embedding", (("text_model.embeddings.position_embedding.weight", (0,)),)),
    rename(r"ln_final", "text_model.final_layer_norm"),
    Row(r"text_projection", (("text_projection.weight", (0,)),), form="transposed"),
)

T5 = (Row(r"(?:.*\.)?logit_scale", ()),)


def autoencoder_rows(stages: int) -> tuple[Row, ...]:
    """latent-diffusion's autoencoder; the decoder's stages are counted from the image."""
    middle = r"(encoder|decoder)\.mid"
    attention, target = rf"{middle}\.attn_1", r"\1.mid_block.attentions.0"
    shortcut = (("nin_shortcut", "conv_shortcut"), (r"(norm\d|conv\d)", None))

    def blocks(old: str, new: str) -> list[Row]:
        return [rename(rf"{old}\.{layer}", f"{new}.{name or last_group(old)}") for layer, name in shortcut]

    def last_group(pattern: str) -> str:
        return rf"\{pattern.count('(') + 1}"

    rows = [
        rename(rf"{attention}\.norm", f"{target}.group_norm"),
        *(rename(rf"{attention}\.{n}", f"{target}.to_{n}", "matrix") for n in "qkv"),
        rename(rf"{attention}\.proj_out", f"{target}.to_out.0", "matrix"),
        rename(r"(encoder|decoder)\.norm_out", r"\1.conv_norm_out"),
    ]
    for number in (1, 2):
        rows += blocks(rf"{middle}\.block_{number}", rf"\1.mid_block.resnets.{number - 1}")
    for index in range(stages):
        down, up = f"encoder.down_blocks.{index}", f"decoder.up_blocks.{stages - 1 - index}"
        rows += blocks(rf"encoder\.down\.{index}\.block\.(\d+)", rf"{down}.resnets.\1")
        rows += blocks(rf"decoder\.up\.{index}\.block\.(\d+)", rf"{up}.resnets.\1")
        rows.append(rename(rf"encoder\.down\.{index}\.downsample\.conv", f"{down}.downsamplers.0.conv"))
        rows.append(rename(rf"decoder\.up\.{index}\.upsample\.conv", f"{up}.upsamplers.0.conv"))
    return tuple(rows)


def apply_rows(tensors: Mapping[str, Weight], rows: Sequence[Row]) -> dict[str, Weight]:
    """The tensors under the models' names, as views; what no row matches keeps its name.

    The first row that matches a key decides. A tensor whose rows the shares do not divide is left as it is,
    to be reported as unknown.
    """
    joint = [int(m[1]) for m in (re.match(rf"(?:{JOINT_BLOCKS})\.(\d+)\.", key) for key in tensors) if m]
    last = str(max(joint, default=0))
    compiled = [(re.compile(row.pattern.replace("{last}", last)), row) for row in rows]
    found: dict[str, Weight] = {}
    for key, tensor in tensors.items():
        match, row = next(((m, row) for p, row in compiled if (m := p.fullmatch(key))), (None, None))
        if match is None or row is None or _rows(tensor) % sum(row.shares):
            found[key] = TensorView.rows(key, tensor, ((0, _rows(tensor)),))
            continue
        for target, numbers in row.targets:
            parts = tuple(_piece(_rows(tensor), row.shares, number) for number in numbers)
            name = match.expand(target)
            found[name] = TensorView.rows(name, tensor, parts, row.form)
    return found


def _rows(tensor: Weight) -> int:
    return tensor.shape[0] if tensor.shape else 0


def _piece(rows: int, shares: tuple[int, ...], number: int) -> tuple[int, int]:
    """The rows [begin, end) of piece `number`."""
    unit = rows // sum(shares)
    begin = unit * sum(shares[:number])
    return begin, begin + unit * shares[number]
