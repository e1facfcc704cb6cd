"""The T5 v1.1 encoder (T5-XXL as Stable Diffusion 3 and FLUX use it, or any size).

The maths is transformers' `T5EncoderModel`: RMS norm before each half-block, attention without scaling and
with a learned bias by relative position, gated GELU. There is no attention mask: the diffusion pipelines pass
none, padding tokens attend and are attended to.

float16 safety: the residual stream of T5-XXL passes 65504, so it stays in float32, as do the norms; the last
projection of the MLP, which overflows first, runs on inputs scaled by a power of two, which is exact.

Shape key: T tokens, J width, H heads, d width of a head, F width of the MLP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as nn
from .. import names
from ..layers import Array, Graph, IOSpec, MILProgram, Precision, Var, WeightProvider
from .config import ConfigReader

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
            layers=read.count("num_layers"),
            buckets=read.count("relative_attention_num_buckets", default=32, minimum=4),
            max_distance=read.count("relative_attention_max_distance", default=128),
            epsilon=read.number("layer_norm_epsilon", default=1e-6),
        )


def build(
    config: T5Config, weights: WeightProvider, *, precision: Precision, tokens: int, target: str = "gpu"
) -> MILProgram:
    """input_ids int32 (1, T) → hidden_states (1, T, J) in `precision`; T is `tokens`."""
    del target  # one layout so far; the caller checks the name

    def body(g: Graph, input_ids: Var) -> Mapping[str, Var]:
        x = nn.embedding(g, input_ids, "shared", config.vocab_size, config.width)
        x = nn.cast(g, x, np.float32, name="residual")
        bias = position_bias(g, config, tokens)
        for index in range(config.layers):
            with g.scope(f"encoder.block.{index}.layer"):
                x = self_attention(g, config, x, bias)
                x = feed_forward(g, config, x)
        norm, output = "encoder.final_layer_norm", names.HIDDEN_STATES
        return {output: nn.rms_norm(g, x, norm, config.epsilon, g.float, output=output)}

    inputs = (IOSpec(names.INPUT_IDS, "int32", (1, tokens)),)
    return nn.build_program(inputs, weights, precision, body)


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


def position_bias(g: Graph, config: T5Config, tokens: int) -> Var:
    """The bias on attention scores, the same in every block: (1, H, T, T), a constant."""
    table = g.source(
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        (config.buckets, config.heads),
    )

    def make() -> Array:
        rows = table.array(np.float32)[position_buckets(tokens, config.buckets, config.max_distance)]
        bias: Array = rows.transpose(2, 0, 1)[None]  # (T, T, H) → (1, H, T, T)
        return bias

    return g.computed("position_bias", (1, config.heads, tokens, tokens), g.float, make)


def self_attention(g: Graph, config: T5Config, x: Var, bias: Var) -> Var:
    """x + attention(norm(x)): float32 (1, T, J) → float32 (1, T, J)."""
    inner = config.heads * config.head_width
    y = nn.rms_norm(g, x, "0.layer_norm", config.epsilon, g.float)
    with g.scope("0.SelfAttention"):
        q, k, v = (nn.linear(g, y, n, inner, bias=False) for n in "qkv")
        # The fused op divides the scores by √d, T5 does not: undone on q.
        q = nn.mul(g, q, config.head_width**0.5, name="unscaled_q")
        q, k, v = (
            nn.split_heads(g, t, config.heads, name=f"{n}_heads") for t, n in ((q, "q"), (k, "k"), (v, "v"))
        )
        y = nn.attention(g, q, k, v, mask=bias, name="attention")
        y = nn.linear(g, y, "o", config.width, bias=False)
        return nn.add(g, x, nn.cast(g, y, np.float32, name="wide"), name="residual")


def feed_forward(g: Graph, config: T5Config, x: Var) -> Var:
    """x + wo·(gelu(wi_0·norm(x)) * wi_1·norm(x)): float32 (1, T, J) → float32 (1, T, J)."""
    y = nn.rms_norm(g, x, "1.layer_norm", config.epsilon, g.float)
    with g.scope("1.DenseReluDense"):
        gate = nn.activation(
            g, nn.linear(g, y, "wi_0", config.feed_forward, bias=False), "gelu_new", name="gate"
        )
        value = nn.linear(g, y, "wi_1", config.feed_forward, bias=False)
        safe = g.float == np.float16
        if safe:
            value = nn.mul(g, value, FEED_FORWARD_SCALE, name="scaled")
        y = nn.linear(g, nn.mul(g, gate, value, name="gated"), "wo", config.width, bias=False)
        y = nn.cast(g, y, np.float32, name="wide")
        if safe:
            y = nn.mul(g, y, 1 / FEED_FORWARD_SCALE, name="unscaled")
        return nn.add(g, x, y, name="residual")
