"""The MMDiT of Stable Diffusion 3 and 3.5, as two models: the modulation and the denoiser.

The maths is diffusers' `SD3Transformer2DModel` (Esser et al. 2024): image and text tokens keep their own
weights and meet in joint attention; every norm is shifted, scaled and gated by vectors computed from
(timestep, pooled text). Those vectors depend on nothing else, so they are a model of their own, run once per
schedule entry and prompt.

Modulation rows
    The modulation's output (B, R, W) stacks R vectors of width W, in this order:

    for block 0 … N−1
        image, 6 rows:  shift, 1 + scale, gate of the attention; shift, 1 + scale, gate of the MLP
               (9 rows in blocks with dual attention: then shift, 1 + scale, gate of the second attention)
        text,  6 rows:  the same; 2 rows in block N−1, whose text output nobody reads: 1 + scale, shift
    output norm, 2 rows: 1 + scale, shift

    So R = 12·N − 2, plus 3 for every block with dual attention.

float16 safety: the residual streams of the large models, and what MLPs add to them, may pass 65504. They are
divided by a power of two (`streams`), on both targets, which costs one product with the MLP's activations.

Tokens and heads are written (B, S, W) and (B, S, H, d); `layers` lays them out as the target wants them.

Shape key: B batch, C latent channels, h × w latent, p patch, N blocks, W width, H heads, d width of a head, S
image tokens, T text tokens, J width of the text, P width of the pooled text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import layers as nn
from .. import names, sinusoid
from ..errors import ConversionError
from ..layers import Array, Graph, IOSpec, MILProgram, Network, Precision, Target, Var, WeightProvider
from .adaln import ModulatedNorm, Modulation, embedder, layout_rows, make_layout, modulation_output
from .config import ConfigReader
from .cuts import Blocks, whole
from .streams import Stream, modulated, output_norm

__all__ = ["DenoiserRow", "SD3Config", "build_denoiser", "build_modulation", "modulation_layout"]

#: Epsilon of every norm in the model.
EPSILON = 1e-6

#: What the residual streams, and what MLPs add to them, are multiplied by in float16: up to 8 times 65504. It
#: costs epsilon: at 1/8, the least positive float16 in its place stands for 4e-6.
STREAM_SCALE = 1 / 8


@dataclass(frozen=True)
class SD3Config:
    """Dimensions of an MMDiT; `qk_norm` is None or "rms_norm", `dual_attention` lists blocks (3.5 medium)."""

    layers: int
    heads: int
    head_width: int
    in_channels: int
    out_channels: int
    patch: int
    context_width: int
    pooled_width: int
    pos_embed_max_size: int
    qk_norm: str | None
    dual_attention: tuple[int, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any], component: str) -> "SD3Config":
        """From diffusers' config.json. CheckpointError names the key that is missing or unsupported."""
        read = ConfigReader(data, component)
        read.choice("_class_name", ("SD3Transformer2DModel",))
        layers, heads = read.layers("num_layers"), read.count("num_attention_heads")
        head_width, channels = read.count("attention_head_dim"), read.count("in_channels")
        width = read.count("caption_projection_dim")
        if width != heads * head_width:
            read.fail(
                "caption_projection_dim",
                width,
                f"num_attention_heads * attention_head_dim {heads * head_width}",
            )
        dual = read.counts("dual_attention_layers", default=(), minimum=0)
        if any(index >= layers for index in dual):
            read.fail("dual_attention_layers", dual, f"indices below num_layers {layers}")
        return cls(
            layers=layers,
            heads=heads,
            head_width=head_width,
            in_channels=channels,
            out_channels=channels if data.get("out_channels") is None else read.count("out_channels"),
            patch=read.count("patch_size"),
            context_width=read.count("joint_attention_dim"),
            pooled_width=read.count("pooled_projection_dim"),
            pos_embed_max_size=read.count("pos_embed_max_size"),
            qk_norm=read.choice("qk_norm", (None, "rms_norm"), None),
            dual_attention=tuple(sorted(set(dual))),
        )

    @property
    def width(self) -> int:
        """W: the width of either stream."""
        return self.heads * self.head_width


def modulation_layout(config: SD3Config) -> Mapping[str, ModulatedNorm]:
    """Every modulated norm by its checkpoint name, in the order of the rows (see the module's text)."""
    return make_layout(_norms(config))


def _norms(config: SD3Config) -> Iterator[tuple[str, int]]:
    for index in range(config.layers):
        block = f"transformer_blocks.{index}"
        yield f"{block}.norm1", 9 if index in config.dual_attention else 6
        yield f"{block}.norm1_context", 2 if index == config.layers - 1 else 6
    yield "norm_out", 2


def modulation_rows(config: SD3Config) -> int:
    """R: the number of modulation vectors."""
    return layout_rows(modulation_layout(config))


def build_modulation(
    config: SD3Config,
    weights: WeightProvider,
    *,
    precision: Precision,
    batch: int = 1,
    target: Target = "gpu",
) -> MILProgram:
    """The program of `modulation`."""
    inputs, body = modulation(config, precision=precision, batch=batch)
    return nn.build_program(inputs, weights, precision, body, target)


def modulation(config: SD3Config, *, precision: Precision, batch: int) -> Network:
    """timestep_features (B, 256), pooled (B, P) → modulation (B, R, W), all in `precision`."""

    def body(g: Graph, timestep_features: Var, pooled: Var) -> Mapping[str, Var]:
        with g.scope("time_text_embed"):
            time = embedder(g, timestep_features, "timestep_embedder", config.width)
            text = embedder(g, pooled, "text_embedder", config.width)
            x = nn.activation(g, nn.add(g, time, text, name="sum"), "silu")  # (B, W)
        return {names.MODULATION_ROWS: modulation_output(g, x, modulation_layout(config))}

    inputs = (
        IOSpec(names.TIMESTEP_FEATURES, precision, (batch, sinusoid.WIDTH)),
        IOSpec(names.POOLED, precision, (batch, config.pooled_width)),
    )
    return Network(inputs, body)


def build_denoiser(
    config: SD3Config,
    weights: WeightProvider,
    *,
    precision: Precision,
    latent: tuple[int, int],
    tokens: int,
    batch: int = 1,
    target: Target = "gpu",
) -> MILProgram:
    """latent (B, C, h, w), context (B, T, J), modulation (B, R, W) → velocity (B, C, h, w), all in
    `precision`.

    `latent` is (h, w). ConversionError when it is not a multiple of the patch or larger than the position
    table.
    """
    network = whole(DenoiserRow(config, latent, tokens, batch, precision))
    return nn.build_program(network.inputs, weights, precision, network.body, target)


class DenoiserRow:
    """The denoiser at one size as blocks (`cuts.BlockRow`): the first embeds as well, the last projects."""

    def __init__(
        self, config: SD3Config, latent: tuple[int, int], tokens: int, batch: int, precision: Precision
    ) -> None:
        check_size(config, latent)
        self.config, self.latent = config, latent
        self.count = config.layers
        self.inputs = (
            IOSpec(names.LATENT, precision, (batch, config.in_channels, *latent)),
            IOSpec(names.CONTEXT, precision, (batch, tokens, config.context_width)),
            IOSpec(names.MODULATION_ROWS, precision, (batch, modulation_rows(config), config.width)),
        )

    @staticmethod
    def provider(config: SD3Config, weights: WeightProvider) -> WeightProvider:
        """The weights as the blocks read them."""
        del config
        return weights

    def needs(self, index: int) -> Sequence[str]:
        """Only the first block embeds the latent and the text."""
        return tuple(spec.name for spec in self.inputs) if index == 0 else (names.MODULATION_ROWS,)

    def blocks(self, g: Graph, inputs: Mapping[str, Var]) -> Blocks:
        """Streams: `img` (B, S, W) and `txt` (B, T, W), which ends before the last block does."""
        config = self.config
        rows = Modulation(g, inputs[names.MODULATION_ROWS], modulation_layout(config))
        stream = Stream.narrow(g, STREAM_SCALE, EPSILON)

        def block(index: int, streams: Mapping[str, Var]) -> Mapping[str, Var]:
            if index == 0:
                img = stream.begin(g, patchify(g, config, inputs[names.LATENT]), "img")  # (B, S, W)
                txt = nn.tokens_from_rows(g, inputs[names.CONTEXT], name="context")  # (B, T, J)
                txt = nn.linear(g, txt, "context_embedder", config.width)  # (B, T, W)
                txt = stream.begin(g, txt, "txt")
            else:
                img, txt = streams["img"], streams["txt"]
            with g.scope(f"transformer_blocks.{index}"):
                img, txt = joint_block(g, config, stream, rows, index, img, txt)
            if index < config.layers - 1:
                return {"img": img, "txt": txt}
            img = output_norm(g, stream, rows, img)
            return {names.VELOCITY: unpatchify(g, config, img, self.latent)}

        return block


def check_size(config: SD3Config, latent: tuple[int, int]) -> None:
    """ConversionError unless the latent (h, w) is a multiple of the patch and within the position table."""
    largest = config.pos_embed_max_size * config.patch
    for side, value in zip(("height", "width"), latent, strict=True):
        if value <= 0 or value % config.patch:
            raise ConversionError(
                f"the latent's {side} is {value}, expected a positive multiple of the patch {config.patch}: "
                "choose an image size that is a multiple of 16"
            )
        if value > largest:
            raise ConversionError(
                f"the latent's {side} is {value}, but the checkpoint's position table ends at {largest} "
                f"(pos_embed_max_size {config.pos_embed_max_size}): choose a smaller size"
            )


def patchify(g: Graph, config: SD3Config, latent: Var) -> Var:
    """Patches of the latent plus their position: (B, C, h, w) → (B, S, W)."""
    with g.scope("pos_embed"):
        x = nn.conv2d(g, latent, "proj", config.width, config.patch, stride=config.patch)
        rows, columns = int(x.shape[2]), int(x.shape[3])
        x = nn.tokens_from_image(g, x, names=("flat", "tokens"))  # (B, S, W)
        return nn.add(g, x, position_table(g, config, rows, columns), name="sum")


def position_table(g: Graph, config: SD3Config, rows: int, columns: int) -> Var:
    """The centre rows × columns of the square position table, (1, S, W) (`PatchEmbed.cropped_pos_embed`)."""
    side, width = config.pos_embed_max_size, config.width
    table = g.source("pos_embed", (1, side * side, width))
    top, left = (side - rows) // 2, (side - columns) // 2

    def make() -> Array:
        crop = np.empty((rows, columns * width), g.float)
        for row in range(rows):
            begin = ((top + row) * side + left) * width
            crop[row] = table.elements(begin, begin + columns * width, g.float)
        return crop.reshape(rows * columns, width)  # (S, W)

    # The crop is another one for every size, even for one with as many patches.
    return nn.token_table(g, f"pos_embed_{rows}x{columns}", (rows * columns, width), make)


def unpatchify(g: Graph, config: SD3Config, x: Var, latent: tuple[int, int]) -> Var:
    """The last projection, and tokens back to a latent: (B, S, W) → (B, C, h, w)."""
    return nn.project_patches(
        g, x, "proj_out", config.patch, config.out_channels, latent, output=names.VELOCITY
    )


class QKV(NamedTuple):
    """Queries, keys and values of one stream: each heads (B, S, H, d)."""

    q: Var
    k: Var
    v: Var


def joint_block(
    g: Graph, config: SD3Config, stream: Stream, rows: Modulation, index: int, img: Var, txt: Var
) -> tuple[Var, Var]:
    """One MMDiT block: streams of image (B, S, W) and text (B, T, W) → the same; the last leaves the text as
    it is."""
    last, dual = index == config.layers - 1, index in config.dual_attention
    img_mod, txt_mod = rows["norm1"], rows["norm1_context"]
    img_norm = stream.unit(g, img, "norm1")
    img_in = modulated(g, img_norm, "norm1", img_mod[0], img_mod[1])
    txt_shift, txt_scale = (txt_mod[1], txt_mod[0]) if last else txt_mod[:2]
    txt_in = stream.norm(g, txt, "norm1_context", txt_shift, txt_scale)

    with g.scope("attn"):
        img_out, txt_out = joint_attention(g, config, img_in, txt_in, last=last)
    img = stream.add(g, img, img_out, img_mod[2], "attn")
    if dual:
        second = modulated(g, img_norm, "norm1.second", img_mod[6], img_mod[7])
        with g.scope("attn2"):
            second = self_attention(g, config, second)
        img = stream.add(g, img, second, img_mod[8], "attn2")

    img_in = stream.norm(g, img, "norm2", img_mod[3], img_mod[4])
    img_out = feed_forward(g, config, stream, img_in, "ff")
    img = stream.add(g, img, img_out, img_mod[5], "ff", branched=True)
    if last:
        return img, txt
    txt = stream.add(g, txt, txt_out, txt_mod[2], "attn_context")
    txt_in = stream.norm(g, txt, "norm2_context", txt_mod[3], txt_mod[4])
    txt_out = feed_forward(g, config, stream, txt_in, "ff_context")
    return img, stream.add(g, txt, txt_out, txt_mod[5], "ff_context", branched=True)


def joint_attention(g: Graph, config: SD3Config, img: Var, txt: Var, *, last: bool) -> tuple[Var, Var | None]:
    """Attention over both streams: (B, S, W), (B, T, W) → the same; no text in the last block."""
    img_qkv = projections(g, config, img, ("to_q", "to_k", "to_v"), ("norm_q", "norm_k"))
    txt_qkv = projections(
        g, config, txt, ("add_q_proj", "add_k_proj", "add_v_proj"), ("norm_added_q", "norm_added_k")
    )
    q, k, v = (
        nn.concat_tokens(g, pair, name=f"joint_{n}")  # (B, S + T, H, d)
        for pair, n in zip(zip(img_qkv, txt_qkv, strict=True), "qkv", strict=True)
    )
    out = nn.attention(g, q, k, v, heads=config.heads, name="joint")  # (B, S + T, W)
    image_tokens, tokens = nn.token_count(g, img), nn.token_count(g, out)
    img_out = nn.slice_tokens(g, out, 0, image_tokens, name="image")  # (B, S, W)
    img_out = nn.linear(g, img_out, "to_out.0", config.width)
    if last:
        return img_out, None
    txt_out = nn.slice_tokens(g, out, image_tokens, tokens, name="text")  # (B, T, W)
    return img_out, nn.linear(g, txt_out, "to_add_out", config.width)


def self_attention(g: Graph, config: SD3Config, img: Var) -> Var:
    """The image's second attention, without the text (SD 3.5 medium): (B, S, W) → (B, S, W)."""
    q, k, v = projections(g, config, img, ("to_q", "to_k", "to_v"), ("norm_q", "norm_k"))
    out = nn.attention(g, q, k, v, heads=config.heads, name="self")
    return nn.linear(g, out, "to_out.0", config.width)


def projections(
    g: Graph, config: SD3Config, x: Var, linears: tuple[str, str, str], norms: tuple[str, str]
) -> QKV:
    """Queries, keys and values of one stream, queries and keys normalised where the model does so."""
    q, k, v = (
        nn.split_heads(g, nn.linear(g, x, name, config.width), config.heads, name=f"{name}.heads")
        for name in linears
    )
    if config.qk_norm is not None:
        q, k = (
            nn.head_rms_norm(g, x, config.heads, norm, EPSILON) for x, norm in zip((q, k), norms, strict=True)
        )
    return QKV(q, k, v)


def feed_forward(g: Graph, config: SD3Config, stream: Stream, x: Var, name: str) -> Var:
    """linear, GELU (tanh), linear: (B, S, W) → (B, S, W), scaled as a branch of the stream."""
    with g.scope(name):
        x = nn.linear(g, x, "net.0.proj", 4 * config.width)
        x = nn.activation(g, x, "gelu_pytorch_tanh", name="net.0.act")
        return stream.project(g, stream.branch(g, x, "net.0.act"), "net.2", config.width)
