"""The T5 v1.1 encoder (T5-XXL as Stable Diffusion 3 and FLUX use it, or any size).

The maths is transformers' `T5EncoderModel`: RMS norm before each half-block, attention without scaling and
with a learned bias by relative position, gated GELU. There is no attention mask: the diffusion pipelines pass
none, padding tokens attend and are attended to.

float16 safety: the residual stream of T5-XXL passes 65504. On a GPU it stays in float32, as do the norms, and
the last projection of the MLP, which overflows first, runs on inputs scaled by a power of two. The Neural
Engine has no float32: there the whole residual stream is kept scaled by that power of two, which is exact,
and the norms, which do not see the scale of their input, divide by its largest value before they square.

Shape key: T tokens, J width, H heads, d width of a head, F width of the MLP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as nn
from .. import names
from ..layers import (
    Array,
    AttentionBias,
    Graph,
    IOSpec,
    MILProgram,
    Network,
    Precision,
    Target,
    Var,
    WeightProvider,
)
from .config import ConfigReader
from .streams import Stream

__all__ = ["T5Config", "build", "position_buckets"]

#: Keeps the MLP's output in float16's range: up to 16 times 65504. A power of two, so scaling is exact.
FEED_FORWARD_SCALE = 1 / 16


@dataclass(frozen=True)
class T5Config:
    """Dimensions of a T5 encoder."""

    vocab_size: int
    width: int
    head_width: int
    heads: int
    feed_forward: int
    layers: int
    buckets: int
    max_distance: int
    epsilon: float

    @classmethod
    def from_json(cls, data: Mapping[str, Any], component: str) -> "T5Config":
        """From transformers' config.json. CheckpointError names the key that is missing or unsupported."""
        read = ConfigReader(data, component)
        read.choice("feed_forward_proj", ("gated-gelu",))
        return cls(
            vocab_size=read.count("vocab_size"),
            width=read.count("d_model"),
            head_width=read.count("d_kv"),
            heads=read.count("num_heads"),
            feed_forward=read.count("d_ff"),
            layers=read.layers("num_layers"),
            buckets=read.count("relative_attention_num_buckets", default=32, minimum=4),
            max_distance=read.count("relative_attention_max_distance", default=128),
            epsilon=read.epsilon("layer_norm_epsilon", default=1e-6),
        )


def build(
    config: T5Config, weights: WeightProvider, *, precision: Precision, tokens: int, target: Target = "gpu"
) -> MILProgram:
    """The program of `network`."""
    inputs, body = network(config, tokens=tokens)
    return nn.build_program(inputs, weights, precision, body, target)


def network(config: T5Config, *, tokens: int) -> Network:
    """input_ids int32 (1, T) → hidden_states (1, T, J) in the graph's floats; T is `tokens`."""

    def body(g: Graph, input_ids: Var) -> Mapping[str, Var]:
        stream, output = Stream.of(g, FEED_FORWARD_SCALE, config.epsilon), names.HIDDEN_STATES
        x = nn.embedding(g, input_ids, "shared", config.vocab_size, config.width)
        x = nn.tokens_from_rows(g, x, name="shared")
        x = nn.scaled(g, nn.cast(g, x, stream.dtype, name="residual"), stream.scale, name="scaled_residual")
        bias = position_bias(g, config, tokens)
        for index in range(config.layers):
            with g.scope(f"encoder.block.{index}.layer"):
                x = self_attention(g, config, stream, x, bias)
                x = feed_forward(g, config, stream, x)
        x = norm(g, config, stream, x, "encoder.final_layer_norm", nn.direct_output(g, output))
        return {output: nn.rows_from_tokens(g, x, output=output)}

    return Network((IOSpec(names.INPUT_IDS, "int32", (1, tokens)),), body)


def norm(g: Graph, config: T5Config, stream: Stream, x: Var, name: str, output: str | None = None) -> Var:
    """The RMS norm of the residual stream, in the model's float type; epsilon is scaled like the squares."""
    return nn.rms_norm(g, x, name, stream.epsilon * stream.scale**2, g.float, output=output)


def position_buckets(tokens: int, buckets: int, max_distance: int) -> Array:
    """The bucket of every (query, key) pair: int32 (T, T).

    Half of the buckets for either direction; in each half one for every short distance, then logarithmically
    wider ones up to `max_distance` (transformers' `_relative_position_bucket`, in float32 as there).
    """
    position = np.arange(tokens)
    relative = position[None, :] - position[:, None]
    half = buckets // 2
    exact = half // 2
    distance = np.abs(relative)
    ratio = np.maximum(distance, 1).astype(np.float32) / np.float32(exact)
    spread = np.log(ratio) / np.float32(np.log(max_distance / exact)) * np.float32(half - exact)
    far = np.minimum(exact + spread.astype(np.int32), half - 1)
    buckets_of = np.where(distance < exact, distance, far) + np.where(relative > 0, half, 0)
    result: Array = buckets_of.astype(np.int32)
    return result


def position_bias(g: Graph, config: T5Config, tokens: int) -> AttentionBias:
    """The bias on attention scores, the same in every block: a constant of (H, T, T)."""
    table = g.source(
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        (config.buckets, config.heads),
    )

    def make() -> Array:
        rows = table.array(np.float32)[position_buckets(tokens, config.buckets, config.max_distance)]
        bias: Array = rows.transpose(2, 0, 1)  # (T, T, H) → (H, T, T)
        return bias

    return nn.attention_bias(g, "position_bias", (config.heads, tokens, tokens), make)


def self_attention(g: Graph, config: T5Config, stream: Stream, x: Var, bias: AttentionBias) -> Var:
    """x + attention(norm(x)): the residual stream → the residual stream."""
    inner = config.heads * config.head_width
    y = norm(g, config, stream, x, "0.layer_norm")
    with g.scope("0.SelfAttention"):
        # T5 does not divide the scores by √d, so what is wrong in q and k enters the softmax at full size. In
        # fewer bits these two would cost more than all other weights together.
        q, k, v = (nn.linear(g, y, n, inner, bias=False, exact=n in "qk") for n in "qkv")
        q, k, v = (
            nn.split_heads(g, t, config.heads, name=f"{n}_heads") for t, n in ((q, "q"), (k, "k"), (v, "v"))
        )
        y = nn.attention(g, q, k, v, mask=bias, heads=config.heads, scale=1.0, name="attention")
        y = nn.linear(g, nn.scaled(g, y, stream.scale, name="scaled"), "o", config.width, bias=False)
        return nn.add(g, x, nn.cast(g, y, stream.dtype, name="wide"), name="residual")


def feed_forward(g: Graph, config: T5Config, stream: Stream, x: Var) -> Var:
    """x + wo·(gelu(wi_0·norm(x)) * wi_1·norm(x)): the residual stream → the residual stream."""
    y = norm(g, config, stream, x, "1.layer_norm")
    scale = stream.branch_scale
    with g.scope("1.DenseReluDense"):
        gate = nn.activation(
            g, nn.linear(g, y, "wi_0", config.feed_forward, bias=False), "gelu_new", name="gate"
        )
        value = nn.scaled(g, nn.linear(g, y, "wi_1", config.feed_forward, bias=False), scale, name="scaled")
        y = nn.linear(g, nn.mul(g, gate, value, name="gated"), "wo", config.width, bias=False)
        y = nn.cast(g, y, stream.dtype, name="wide")
        return nn.add(g, x, nn.scaled(g, y, stream.scale / scale, name="unscaled"), name="residual")
