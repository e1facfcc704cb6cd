"""The diffusion transformer of FLUX.1, as two models: the modulation and the denoiser.

The maths is diffusers' `FluxTransformer2DModel` (Black Forest Labs 2024): double-stream blocks, in which text
and image keep their own weights and meet in joint attention, then single-stream blocks over both, whose
attention and MLP run side by side. Positions enter by rotation of queries and keys (`rotation`). FLUX.1-dev
embeds the guidance scale beside the timestep, and needs no second pass.

Packing is inside: the denoiser takes and gives (B, C, h, w). Two by two pixels of the latent make a token, so
`x_embedder` is a convolution with stride 2, and the way back is a pixel shuffle.

Modulation rows
    The modulation's output (B, R, W) stacks R vectors of width W, in this order:

    for double block 0 … N−1
        image, 6 rows:  shift, 1 + scale, gate of the attention; shift, 1 + scale, gate of the MLP
        text,  6 rows:  the same
    for single block 0 … M−1
        3 rows:  shift, 1 + scale, gate
    output norm, 2 rows: 1 + scale, shift

    So R = 12·N + 3·M + 2.

float16 safety: the residual streams pass 65504 in the late blocks, and what MLPs add to them may. For a GPU
streams stay in float32; each norm brings its stream back to the order of 1, where float16 begins. The Neural
Engine has no float32: there the streams are divided by a power of two (`streams`).

Tokens and heads are written (B, S, W) and (B, S, H, d); `layers` lays them out as the target wants them.

Shape key: B batch, C latent channels, h × w latent, N double and M single blocks, W width, H heads, d width
of a head, S image tokens (h/2 · w/2), T text tokens, J width of the text, P width of the pooled text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as nn
from .. import names, sinusoid
from ..errors import ConversionError
from ..layers import Graph, IOSpec, MILProgram, Precision, Target, Var, WeightProvider
from .adaln import ModulatedNorm, Modulation, embedder, layout_rows, make_layout, modulation_output
from .config import ConfigReader
from .cuts import Blocks, whole
from .rotation import HalvedPairs, rotation
from .streams import Stream, output_norm

__all__ = [
    "DenoiserRow",
    "FluxConfig",
    "build_denoiser",
    "build_modulation",
    "modulation_layout",
]

#: Epsilon of every norm in the model.
EPSILON = 1e-6

#: Side of the square of latent pixels that makes a token.
PATCH = 2

#: What the residual streams are multiplied by for the Neural Engine, and what MLPs add to them on both
#: targets: up to 32 times 65504, exactly.
STREAM_SCALE = 1 / 32


@dataclass(frozen=True)
class FluxConfig:
    """Dimensions of a FLUX transformer; `axes` are the rotated channels for (text, row, column)."""

    layers: int
    single_layers: int
    heads: int
    head_width: int
    in_channels: int
    out_channels: int
    context_width: int
    pooled_width: int
    guidance: bool
    axes: tuple[int, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any], component: str) -> "FluxConfig":
        """From diffusers' config.json. CheckpointError names the key that is missing or unsupported."""
        read = ConfigReader(data, component)
        read.choice("_class_name", ("FluxTransformer2DModel",))
        read.choice("patch_size", (1,), 1)
        head_width, axes = read.count("attention_head_dim"), read.counts("axes_dims_rope", (16, 56, 56))
        if sum(axes) != head_width or len(axes) != 3 or any(n % 2 for n in axes):
            read.fail(
                "axes_dims_rope", axes, f"three even numbers whose sum is attention_head_dim {head_width}"
            )
        packed = read.count("in_channels")
        packed_out = packed if data.get("out_channels") is None else read.count("out_channels")
        for key, value in (("in_channels", packed), ("out_channels", packed_out)):
            read.divides(key, value, PATCH**2, "the pixels of a token")
        return cls(
            layers=read.layers("num_layers"),
            single_layers=read.layers("num_single_layers"),
            heads=read.count("num_attention_heads"),
            head_width=head_width,
            in_channels=packed // PATCH**2,
            out_channels=packed_out // PATCH**2,
            context_width=read.count("joint_attention_dim"),
            pooled_width=read.count("pooled_projection_dim"),
            guidance=read.flag("guidance_embeds", default=False),
            axes=axes,
        )

    @property
    def width(self) -> int:
        """W: the width of either stream."""
        return self.heads * self.head_width

    @property
    def patch(self) -> int:
        """Side of the square of latent pixels that makes a token."""
        return PATCH


def modulation_layout(config: FluxConfig) -> Mapping[str, ModulatedNorm]:
    """Every modulated norm by its checkpoint name, in the order of the rows (see the module's text)."""
    return make_layout(_norms(config))


def _norms(config: FluxConfig) -> Iterator[tuple[str, int]]:
    for index in range(config.layers):
        yield f"transformer_blocks.{index}.norm1", 6
        yield f"transformer_blocks.{index}.norm1_context", 6
    for index in range(config.single_layers):
        yield f"single_transformer_blocks.{index}.norm", 3
    yield "norm_out", 2


def build_modulation(
    config: FluxConfig,
    weights: WeightProvider,
    *,
    precision: Precision,
    batch: int = 1,
    target: Target = "gpu",
) -> MILProgram:
    """timestep_features (B, 256), pooled (B, P), guidance_features (B, 256) where the model embeds guidance →
    modulation (B, R, W), all in `precision`."""

    def body(
        g: Graph, timestep_features: Var, pooled: Var, guidance_features: Var | None = None
    ) -> Mapping[str, Var]:
        with g.scope("time_text_embed"):
            x = embedder(g, timestep_features, "timestep_embedder", config.width)
            if guidance_features is not None:
                guidance = embedder(g, guidance_features, "guidance_embedder", config.width)
                x = nn.add(g, x, guidance, name="guided")
            text = embedder(g, pooled, "text_embedder", config.width)
            x = nn.activation(g, nn.add(g, x, text, name="sum"), "silu")  # (B, W)
        return {names.MODULATION_ROWS: modulation_output(g, x, modulation_layout(config))}

    inputs = [
        IOSpec(names.TIMESTEP_FEATURES, precision, (batch, sinusoid.WIDTH)),
        IOSpec(names.POOLED, precision, (batch, config.pooled_width)),
    ]
    if config.guidance:
        inputs.append(IOSpec(names.GUIDANCE_FEATURES, precision, (batch, sinusoid.WIDTH)))
    return nn.build_program(inputs, weights, precision, body, target)


def build_denoiser(
    config: FluxConfig,
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

    `latent` is (h, w). ConversionError when it is not a multiple of 2.
    """
    network = whole(DenoiserRow(config, latent, tokens, batch, precision))
    provider = DenoiserRow.provider(config, weights)
    return nn.build_program(network.inputs, provider, precision, network.body, target)


class DenoiserRow:
    """The denoiser at one size as blocks (`cuts.BlockRow`): the first embeds as well, the last projects."""

    def __init__(
        self, config: FluxConfig, latent: tuple[int, int], tokens: int, batch: int, precision: Precision
    ) -> None:
        check_size(config, latent)
        self.config, self.latent, self.tokens = config, latent, tokens
        self.count = config.layers + config.single_layers
        rows = layout_rows(modulation_layout(config))
        self.inputs = (
            IOSpec(names.LATENT, precision, (batch, config.in_channels, *latent)),
            IOSpec(names.CONTEXT, precision, (batch, tokens, config.context_width)),
            IOSpec(names.MODULATION_ROWS, precision, (batch, rows, config.width)),
        )

    @staticmethod
    def provider(config: FluxConfig, weights: WeightProvider) -> WeightProvider:
        """The weights as the blocks read them."""
        return HalvedPairs(weights, config.head_width)

    def needs(self, index: int) -> Sequence[str]:
        """Only the first block embeds the latent and the text."""
        return tuple(spec.name for spec in self.inputs) if index == 0 else (names.MODULATION_ROWS,)

    def blocks(self, g: Graph, inputs: Mapping[str, Var]) -> Blocks:
        """Streams: `img` (B, S, W) and `txt` (B, T, W), then both as `joined` (B, T + S, W)."""
        config, tokens = self.config, self.tokens
        height, width = self.latent
        rows = Modulation(g, inputs[names.MODULATION_ROWS], modulation_layout(config))
        kinds = BlockKinds(g, config, rows, tokens, (height // PATCH, width // PATCH))

        def embed() -> tuple[Var, Var]:
            img = kinds.stream.begin(g, patchify(g, config, inputs[names.LATENT]), "img")  # (B, S, W)
            txt = nn.tokens_from_rows(g, inputs[names.CONTEXT], name="context")  # (B, T, J)
            txt = nn.linear(g, txt, "context_embedder", config.width)  # (B, T, W)
            return img, kinds.stream.begin(g, txt, "txt")

        def block(index: int, streams: Mapping[str, Var]) -> Mapping[str, Var]:
            if "joined" not in streams:
                img, txt = embed() if index == 0 else (streams["img"], streams["txt"])
                if index < config.layers:
                    with g.scope(f"transformer_blocks.{index}"):
                        img, txt = kinds.double(img, txt)
                    return {"img": img, "txt": txt} if index < self.count - 1 else finish(img)
                x = nn.concat_tokens(g, (txt, img), name="joined")  # (B, T + S, W)
            else:
                x = streams["joined"]
            with g.scope(f"single_transformer_blocks.{index - config.layers}"):
                x = kinds.single(x)
            if index < self.count - 1:
                return {"joined": x}
            return finish(nn.slice_tokens(g, x, tokens, nn.token_count(g, x), name="image"))  # (B, S, W)

        def finish(img: Var) -> Mapping[str, Var]:
            img = output_norm(g, kinds.stream, rows, img)
            return {names.VELOCITY: unpatchify(g, config, img, self.latent)}

        return block


def check_size(config: FluxConfig, latent: tuple[int, int]) -> None:
    """ConversionError unless the latent (h, w) is a multiple of the patch."""
    del config
    for side, value in zip(("height", "width"), latent, strict=True):
        if value <= 0 or value % PATCH:
            raise ConversionError(
                f"the latent's {side} is {value}, expected a positive multiple of the patch {PATCH}: "
                "choose an image size that is a multiple of 16"
            )


def patchify(g: Graph, config: FluxConfig, latent: Var) -> Var:
    """Two by two pixels a token: (B, C, h, w) → (B, S, W)."""
    channels, width = int(latent.shape[1]), config.width
    x = g.op(
        "conv",
        x=latent,
        weight=g.weight(
            "x_embedder.weight",
            (width, PATCH**2 * channels),
            g.float,
            view=(width, channels, PATCH, PATCH),  # a token's values are ordered (C, row, column)
        ),
        bias=g.weight("x_embedder.bias", (width,), g.float),
        strides=g.const([PATCH, PATCH], "strides", np.int32),
        pad_type=g.text("valid", "pad_type"),
        dilations=g.const([1, 1], "dilations", np.int32),
        groups=g.const(1, "groups", np.int32),
        name="x_embedder",
    )
    return nn.tokens_from_image(g, x, names=("x_embedder.flat", "x_embedder.tokens"))  # (B, S, W)


def unpatchify(g: Graph, config: FluxConfig, x: Var, latent: tuple[int, int]) -> Var:
    """The last projection, and tokens back to a latent: (B, S, W) → (B, C, h, w)."""
    x = nn.linear(g, x, "proj_out", PATCH**2 * config.out_channels)  # (B, S, 4·C)
    grid = latent[0] // PATCH, latent[1] // PATCH
    x = nn.image_from_tokens(g, x, grid, names=("proj_out.channels", "proj_out.grid"))  # (B, 4·C, h/2, w/2)
    return nn.pixel_shuffle(g, x, PATCH, output=names.VELOCITY)  # (B, C, h, w)


class BlockKinds:
    """The two kinds of blocks, and what all of them share: modulation rows, rotation, streams."""

    def __init__(
        self, g: Graph, config: FluxConfig, rows: Modulation, tokens: int, grid: tuple[int, int]
    ) -> None:
        self.g, self.config, self.rows = g, config, rows
        self.stream = Stream.of(g, STREAM_SCALE, EPSILON)
        self.tables = rotation(g, config.axes, tokens, grid)

    def double(self, img: Var, txt: Var) -> tuple[Var, Var]:
        """One double-stream block: image (B, S, W), text (B, T, W) → the same."""
        g, stream = self.g, self.stream
        img_mod, txt_mod = self.rows["norm1"], self.rows["norm1_context"]
        img_in = stream.norm(g, img, "norm1", img_mod[0], img_mod[1])
        txt_in = stream.norm(g, txt, "norm1_context", txt_mod[0], txt_mod[1])
        with g.scope("attn"):
            img_out, txt_out = self.joint_attention(img_in, txt_in)
        img = stream.add(g, img, img_out, img_mod[2], "attn")
        txt = stream.add(g, txt, txt_out, txt_mod[2], "attn_context")

        img_out = self.feed_forward(stream.norm(g, img, "norm2", img_mod[3], img_mod[4]), "ff")
        txt_out = self.feed_forward(
            stream.norm(g, txt, "norm2_context", txt_mod[3], txt_mod[4]), "ff_context"
        )
        img = stream.add(g, img, img_out, img_mod[5], "ff", branched=True)
        return img, stream.add(g, txt, txt_out, txt_mod[5], "ff_context", branched=True)

    def single(self, x: Var) -> Var:
        """One single-stream block, attention and MLP side by side: (B, T + S, W) → the same."""
        g, width = self.g, self.config.width
        shift, scale, gate = self.rows["norm"]
        y = self.stream.norm(g, x, "norm", shift, scale)
        with g.scope("attn"):
            attended = self.attention(*self.projections(y, "to_{}", "norm_{}"))  # (B, T + S, W)
        mlp = nn.activation(
            g, nn.linear(g, y, "proj_mlp", 4 * width), "gelu_pytorch_tanh", name="act_mlp"
        )  # (B, T + S, 4·W)
        pair = [self.stream.branch(g, y, n) for y, n in ((attended, "attended"), (mlp, "mlp"))]
        both = nn.concat_channels(g, pair, name="both")  # (B, T + S, 5·W)
        y = self.stream.project(g, both, "proj_out", width)
        return self.stream.add(g, x, y, gate, "out", branched=True)

    def joint_attention(self, img: Var, txt: Var) -> tuple[Var, Var]:
        """Attention over both streams, text first: (B, S, W), (B, T, W) → the same."""
        g, width = self.g, self.config.width
        txt_qkv = self.projections(txt, "add_{}_proj", "norm_added_{}")
        img_qkv = self.projections(img, "to_{}", "norm_{}")
        q, k, v = (
            nn.concat_tokens(g, pair, name=f"joint_{n}")  # (B, T + S, H, d)
            for pair, n in zip(zip(txt_qkv, img_qkv, strict=True), "qkv", strict=True)
        )
        out = self.attention(q, k, v)  # (B, T + S, W)
        tokens, text_tokens = nn.token_count(g, out), nn.token_count(g, txt)
        txt_out = nn.slice_tokens(g, out, 0, text_tokens, name="text")  # (B, T, W)
        img_out = nn.slice_tokens(g, out, text_tokens, tokens, name="image")  # (B, S, W)
        return nn.linear(g, img_out, "to_out.0", width), nn.linear(g, txt_out, "to_add_out", width)

    def projections(self, x: Var, linear: str, norm: str) -> tuple[Var, Var, Var]:
        """Queries, keys and values of one stream, queries and keys normalised: heads (B, S, H, d)."""
        g, config = self.g, self.config

        def project(n: str) -> Var:
            name = linear.format(n)
            return nn.split_heads(g, nn.linear(g, x, name, config.width), config.heads, name=f"{name}.heads")

        q, k = (nn.head_rms_norm(g, project(n), config.heads, norm.format(n), EPSILON) for n in "qk")
        return q, k, project("v")

    def attention(self, q: Var, k: Var, v: Var) -> Var:
        """Attention after rotating queries and keys: three (B, T + S, H, d) → (B, T + S, W)."""
        g, heads = self.g, self.config.heads
        q, k = (nn.rotary(g, t, heads, *self.tables, name=f"rotated_{n}") for t, n in ((q, "q"), (k, "k")))
        return nn.attention(g, q, k, v, heads=heads, name="joint")

    def feed_forward(self, x: Var, name: str) -> Var:
        """linear, GELU (tanh), linear: (B, S, W) → (B, S, W)."""
        g, width = self.g, self.config.width
        with g.scope(name):
            x = nn.linear(g, x, "net.0.proj", 4 * width)
            x = nn.activation(g, x, "gelu_pytorch_tanh", name="net.0.act")
            return self.stream.project(g, self.stream.branch(g, x, "net.0.act"), "net.2", width)
