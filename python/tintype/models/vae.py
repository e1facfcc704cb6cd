"""The convolutional autoencoder of Stable Diffusion 3 and FLUX: decoder and encoder.

The maths is diffusers' `AutoencoderKL` with plain down and up blocks, with or without attention in the
middle, with or without the 1×1 convolutions at the latent (`quant_conv`, `post_quant_conv`).

float16 safety: with trained weights, what convolutions make passes 65504 (the demo model's encoder 67,621).
Every value between a normalisation and the next is therefore divided by a power of two, which is exact and
which group norms do not see: the input of each convolution, its bias, and the residual stream that they add
up to. There is nothing to restore at the end, and no float32 on either target.

Shape key: C latent channels, h × w latent, H × W = 8h × 8w image, K channels of a stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as nn
from .. import names
from ..errors import ConversionError
from ..layers import Graph, IOSpec, MILProgram, Network, Precision, Target, Var, WeightProvider
from .config import ConfigReader

__all__ = ["VAEConfig", "build_decoder", "build_encoder", "decoder", "encoder"]

#: Epsilon of every group norm in the model.
EPSILON = 1e-6

#: Multiplies what group norms normalise in float16, which then holds up to 8 times 65504. It costs epsilon:
#: at 1/8, the least positive float16 in its place stands for 4e-6.
STREAM_SCALE = 1 / 8


@dataclass(frozen=True)
class VAEConfig:
    """Dimensions of an autoencoder. `channels` are the stages' widths from the image inwards."""

    image_channels: int
    latent_channels: int
    channels: tuple[int, ...]
    blocks_per_stage: int
    groups: int
    scale: float
    shift: float
    mid_attention: bool
    quant_conv: bool
    post_quant_conv: bool

    @classmethod
    def from_json(cls, data: Mapping[str, Any], component: str) -> "VAEConfig":
        """From diffusers' config.json. CheckpointError names the key that is missing or unsupported."""
        read = ConfigReader(data, component)
        read.choice("_class_name", ("AutoencoderKL",))
        read.choice("act_fn", ("silu",), "silu")
        channels, groups = read.counts("block_out_channels"), read.count("norm_num_groups", default=32)
        if not channels:
            read.fail("block_out_channels", channels, "at least one stage")
        for width in channels:
            read.divides("block_out_channels", width, groups, "norm_num_groups")
        for key, kind in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
            expected = [kind] * len(channels)
            if data.get(key, expected) != expected:
                read.fail(key, data[key], f"{len(channels)} times {kind}")
        if read.count("in_channels", default=3) != 3 or read.count("out_channels", default=3) != 3:
            read.fail(
                "in_channels, out_channels", (data.get("in_channels"), data.get("out_channels")), "3, 3"
            )
        return cls(
            image_channels=3,
            latent_channels=read.count("latent_channels"),
            channels=channels,
            blocks_per_stage=read.layers("layers_per_block"),
            groups=groups,
            scale=read.positive("scaling_factor"),
            shift=0.0 if data.get("shift_factor") is None else read.number("shift_factor"),
            mid_attention=read.flag("mid_block_add_attention", default=True),
            quant_conv=read.flag("use_quant_conv", default=True),
            post_quant_conv=read.flag("use_post_quant_conv", default=True),
        )

    @property
    def downscale(self) -> int:
        """Image pixels a latent pixel, along one axis."""
        return int(2 ** (len(self.channels) - 1))


def build_decoder(
    config: VAEConfig,
    weights: WeightProvider,
    *,
    precision: Precision,
    latent: tuple[int, int],
    target: Target = "gpu",
) -> MILProgram:
    """The program of `decoder`."""
    network = decoder(config, precision=precision, latent=latent)
    return nn.build_program(network.inputs, weights, precision, network.body, target)


def decoder(config: VAEConfig, *, precision: Precision, latent: tuple[int, int]) -> Network:
    """latent (1, C, h, w), already divided by the scale and shifted → image (1, 3, H, W) in about [−1, 1]."""

    def body(g: Graph, latent: Var) -> Mapping[str, Var]:
        x = latent
        if config.post_quant_conv:
            x = nn.conv2d(g, x, "post_quant_conv", config.latent_channels, 1)
        with g.scope("decoder"):
            x = conv(g, into_stream(g, x), "conv_in", config.channels[-1], 3, padding=1)
            x = mid_block(g, config, x)
            for index, channels in enumerate(reversed(config.channels)):
                with g.scope(f"up_blocks.{index}"):
                    for block in range(config.blocks_per_stage + 1):
                        x = residual_block(g, config, x, f"resnets.{block}", channels)
                    if index < len(config.channels) - 1:
                        x = nn.upsample_nearest(g, x, 2, name="upsample")  # (1, K, 2·, 2·)
                        x = conv(g, x, "upsamplers.0.conv", channels, 3, padding=1)
            x = norm_silu(g, config, x, "conv_norm_out")
            x = nn.conv2d(g, x, "conv_out", config.image_channels, 3, padding=1, output=names.IMAGE)
        return {names.IMAGE: x}

    return Network((IOSpec(names.LATENT, precision, (1, config.latent_channels, *latent)),), body)


def build_encoder(
    config: VAEConfig,
    weights: WeightProvider,
    *,
    precision: Precision,
    latent: tuple[int, int],
    target: Target = "gpu",
) -> MILProgram:
    """The program of `encoder`."""
    network = encoder(config, precision=precision, latent=latent)
    return nn.build_program(network.inputs, weights, precision, network.body, target)


def encoder(config: VAEConfig, *, precision: Precision, latent: tuple[int, int]) -> Network:
    """image (1, 3, H, W) in [−1, 1] → moments (1, 2C, h, w): means, then logarithms of variances."""
    height, width = (side * config.downscale for side in latent)
    if height <= 0 or width <= 0:
        raise ConversionError(f"the image is {width}x{height}, expected positive sides: choose another size")

    def body(g: Graph, image: Var) -> Mapping[str, Var]:
        moments = 2 * config.latent_channels
        with g.scope("encoder"):
            x = conv(g, into_stream(g, image), "conv_in", config.channels[0], 3, padding=1)
            for index, channels in enumerate(config.channels):
                with g.scope(f"down_blocks.{index}"):
                    for block in range(config.blocks_per_stage):
                        x = residual_block(g, config, x, f"resnets.{block}", channels)
                    if index < len(config.channels) - 1:
                        # One row below and one column to the right, as the model was trained.
                        x = nn.pad(g, x, (0, 0, 0, 0, 0, 1, 0, 1), name="pad")
                        x = conv(g, x, "downsamplers.0.conv", channels, 3, stride=2)
            x = mid_block(g, config, x)
            x = norm_silu(g, config, x, "conv_norm_out")
            output = None if config.quant_conv else names.MOMENTS
            x = nn.conv2d(g, x, "conv_out", moments, 3, padding=1, output=output)
        if config.quant_conv:
            x = nn.conv2d(g, x, "quant_conv", moments, 1, output=names.MOMENTS)
        return {names.MOMENTS: x}

    return Network((IOSpec(names.IMAGE, precision, (1, config.image_channels, height, width)),), body)


def stream_scale(g: Graph) -> float:
    """The power of two that everything which a group norm will normalise is multiplied by."""
    return STREAM_SCALE if g.float == np.float16 else 1


def into_stream(g: Graph, x: Var, name: str = "input") -> Var:
    """x as a convolution of the stream takes it."""
    return nn.scaled(g, x, stream_scale(g), name=f"{name}.scaled")


def conv(
    g: Graph, x: Var, name: str, channels: int, kernel: int, *, stride: int = 1, padding: int = 0
) -> Var:
    """A convolution from scaled values to scaled values."""
    scale = stream_scale(g)
    return nn.conv2d(g, x, name, channels, kernel, stride=stride, padding=padding, scale=scale)


def group_norm(g: Graph, config: VAEConfig, x: Var, name: str) -> Var:
    """Group norm of scaled values; epsilon is scaled like the variance."""
    return nn.group_norm(g, x, name, config.groups, EPSILON * stream_scale(g) ** 2)


def norm_silu(g: Graph, config: VAEConfig, x: Var, name: str) -> Var:
    """Group norm of scaled values, and SiLU: unscaled values of the order of 1."""
    return nn.activation(g, group_norm(g, config, x, name), "silu", name=f"{name}.act")


def residual_block(g: Graph, config: VAEConfig, x: Var, name: str, channels: int) -> Var:
    """Two (norm, SiLU, 3×3 convolution), plus x or its 1×1 convolution: K → `channels` channels."""
    with g.scope(name):
        y = into_stream(g, norm_silu(g, config, x, "norm1"), "norm1")
        y = conv(g, y, "conv1", channels, 3, padding=1)
        y = into_stream(g, norm_silu(g, config, y, "norm2"), "norm2")
        y = conv(g, y, "conv2", channels, 3, padding=1)
        if int(x.shape[1]) != channels:
            x = conv(g, x, "conv_shortcut", channels, 1)
        return nn.add(g, x, y, name="sum")


def mid_block(g: Graph, config: VAEConfig, x: Var) -> Var:
    """Residual block, attention, residual block, at the lowest resolution."""
    channels = int(x.shape[1])
    with g.scope("mid_block"):
        x = residual_block(g, config, x, "resnets.0", channels)
        if config.mid_attention:
            with g.scope("attentions.0"):
                x = pixel_attention(g, config, x)
        return residual_block(g, config, x, "resnets.1", channels)


def pixel_attention(g: Graph, config: VAEConfig, x: Var) -> Var:
    """x plus single-head attention over the pixels: (1, K, h, w) → (1, K, h, w)."""
    channels, size = int(x.shape[1]), (int(x.shape[2]), int(x.shape[3]))
    y = group_norm(g, config, x, "group_norm")
    y = nn.tokens_from_image(g, y, names=("flat", "pixels"))  # (1, h·w, K)
    q, k, v = (nn.split_heads(g, nn.linear(g, y, f"to_{n}", channels), 1, name=f"{n}_heads") for n in "qkv")
    y = into_stream(g, nn.attention(g, q, k, v, heads=1, name="attention"), "attention")
    bias = nn.scaled_bias(g, "to_out.0", channels, g.dtype(y), stream_scale(g))
    y = nn.linear(g, y, "to_out.0", channels, bias_row=bias)
    y = nn.image_from_tokens(g, y, size, names=("channels", "image"))  # (1, K, h, w)
    return nn.add(g, x, y, name="sum")
