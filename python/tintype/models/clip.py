"""CLIP text encoders (CLIP-L and OpenCLIP bigG as Stable Diffusion 3 uses them).

The maths is transformers' `CLIPTextModelWithProjection`: token and position embeddings, pre-norm causal
transformer. Two outputs: the last but one hidden state before the final norm, and the projected final-norm
state at the first end token.

Shape key: L tokens, D width, P projection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as nn
from .. import names
from ..layers import Array, Graph, IOSpec, MILProgram, Precision, Var, WeightProvider
from .config import ConfigReader

__all__ = ["CLIPConfig", "build"]

#: Masks a future token. Not −inf: fp16 devices turn −inf − (−inf) into NaN; exp(−4e4) is 0 as well.
MASKED = -4e4


@dataclass(frozen=True)
class CLIPConfig:
    """Dimensions of a CLIP text encoder; `projection` is None for encoders without `text_projection`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    max_positions: int
    projection: int | None
    activation: str
    epsilon: float
    eos_token_id: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any], component: str) -> "CLIPConfig":
        """From transformers' config.json. CheckpointError names the key that is missing or unsupported."""
        read = ConfigReader(data, component)
        vocab, hidden = read.count("vocab_size"), read.count("hidden_size")
        heads = read.count("num_attention_heads")
        read.divides("hidden_size", hidden, heads, "num_attention_heads")
        read.choice("model_type", ("clip_text_model",), "clip_text_model")
        projected = "CLIPTextModelWithProjection" in (data.get("architectures") or ())
        eos = read.count("eos_token_id", default=2, minimum=0)
        return cls(
            vocab_size=vocab,
            hidden_size=hidden,
            intermediate_size=read.count("intermediate_size"),
            layers=read.count("num_hidden_layers", minimum=2),
            heads=heads,
            max_positions=read.count("max_position_embeddings", default=77),
            projection=read.count("projection_dim") if projected else None,
            activation=read.choice("hidden_act", ("quick_gelu", "gelu"), "quick_gelu"),
            epsilon=read.number("layer_norm_eps", default=1e-5),
            # The released configs say 2, a mistake that transformers works around by taking the largest id,
            # which is the end token: the last entry of the vocabulary.
            eos_token_id=vocab - 1 if eos == 2 else eos,
        )

    @property
    def pooled_dim(self) -> int:
        """P: the width of the pooled output."""
        return self.projection or self.hidden_size


def build(
    config: CLIPConfig, weights: WeightProvider, *, precision: Precision, tokens: int, target: str = "gpu"
) -> MILProgram:
    """input_ids int32 (1, L) → hidden_states (1, L, D), pooled (1, P), in `precision`; L is `tokens`."""
    del target  # one layout so far; the caller checks the name

    def body(g: Graph, input_ids: Var) -> Mapping[str, Var]:
        with g.scope("text_model"):
            x = embed(g, config, input_ids)
            mask, hidden = causal_mask(g, tokens), None
            for index in range(config.layers):
                output = names.HIDDEN_STATES if index == config.layers - 2 else None
                with g.scope(f"encoder.layers.{index}"):
                    x = encoder_layer(g, config, x, mask, output)
                hidden = x if output else hidden
            row = end_row(g, config, x, input_ids)
            output = None if config.projection else names.POOLED
            pooled = nn.layer_norm(g, row, "final_layer_norm", config.epsilon, output=output)
        if config.projection:
            pooled = nn.linear(
                g, pooled, "text_projection", config.projection, bias=False, output=names.POOLED
            )
        return {names.HIDDEN_STATES: hidden, names.POOLED: pooled}

    inputs = (IOSpec(names.INPUT_IDS, "int32", (1, tokens)),)
    return nn.build_program(inputs, weights, precision, body)


def embed(g: Graph, config: CLIPConfig, ids: Var) -> Var:
    """Token plus position embedding: (1, L) → (1, L, D)."""
    tokens = int(ids.shape[1])
    with g.scope("embeddings"):
        x = nn.embedding(g, ids, "token_embedding", config.vocab_size, config.hidden_size)
        rows = g.rows(
            "position_embedding.weight", (config.max_positions, config.hidden_size), tokens, g.float
        )
        return nn.add(g, x, rows, name="sum")


def causal_mask(g: Graph, tokens: int) -> Var:
    """(1, 1, L, L): 0 up to the diagonal, MASKED above it."""

    def make() -> Array:
        return np.triu(np.full((tokens, tokens), MASKED, np.float32), 1)[None, None]

    return g.computed("causal_mask", (1, 1, tokens, tokens), g.float, make)


def encoder_layer(g: Graph, config: CLIPConfig, x: Var, mask: Var, output: str | None) -> Var:
    """One pre-norm block: (1, L, D) → (1, L, D)."""
    width = config.hidden_size
    y = nn.layer_norm(g, x, "layer_norm1", config.epsilon)
    q, k, v = (
        nn.split_heads(g, nn.linear(g, y, f"self_attn.{n}_proj", width), config.heads, name=f"self_attn.{n}")
        for n in "qkv"
    )
    y = nn.attention(g, q, k, v, mask=mask, name="self_attn")
    x = nn.add(g, x, nn.linear(g, y, "self_attn.out_proj", width), name="attended")
    y = nn.layer_norm(g, x, "layer_norm2", config.epsilon)
    y = nn.linear(g, y, "mlp.fc1", config.intermediate_size)
    y = nn.activation(g, y, config.activation, name="mlp.act")
    return nn.add(g, x, nn.linear(g, y, "mlp.fc2", width), name="out", output=output)


def end_row(g: Graph, config: CLIPConfig, x: Var, ids: Var) -> Var:
    """The state at the first end token: (1, L, D) → (1, D).

    Multiplying the hits by a falling ramp leaves one largest element, the first: arg-max never meets a tie,
    whose result Core ML does not define.
    """
    tokens, width = int(x.shape[1]), int(x.shape[2])
    ramp = g.computed("ramp", (1, tokens), g.float, lambda: np.arange(tokens, 0, -1, dtype=np.float32)[None])
    hits = nn.equal(g, ids, config.eos_token_id, name="is_end")
    score = nn.mul(g, nn.cast(g, hits, g.float, name="hits"), ramp, name="score")
    index = nn.argmax(g, score, 1, name="first_end")  # (1,)
    rows = nn.reshape(g, x, (tokens, width), name="rows")  # (L, D)
    return nn.gather(g, rows, index, name="end_state")
