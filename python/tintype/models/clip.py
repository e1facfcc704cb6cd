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
        kinds = data.get("architectures") or []
        if not isinstance(kinds, list):
            read.fail("architectures", kinds, "a list of names")
        projected = "CLIPTextModelWithProjection" in kinds
        eos = read.count("eos_token_id", default=2, minimum=0)
        return cls(
            vocab_size=vocab,
            hidden_size=hidden,
            intermediate_size=read.count("intermediate_size"),
            layers=read.layers("num_hidden_layers", minimum=2),
            heads=heads,
            max_positions=read.count("max_position_embeddings", default=77),
            projection=read.count("projection_dim") if projected else None,
            activation=read.choice("hidden_act", ("quick_gelu", "gelu"), "quick_gelu"),
            epsilon=read.epsilon("layer_norm_eps", default=1e-5),
            # The released configs say 2, a mistake that transformers works around by taking the largest id,
            # which is the end token: the last entry of the vocabulary.
            eos_token_id=vocab - 1 if eos == 2 else eos,
        )

    @property
    def pooled_dim(self) -> int:
        """P: the width of the pooled output."""
        return self.projection or self.hidden_size


def build(
    config: CLIPConfig, weights: WeightProvider, *, precision: Precision, tokens: int, target: Target = "gpu"
) -> MILProgram:
    """The program of `network`."""
    inputs, body = network(config, tokens=tokens)
    return nn.build_program(inputs, weights, precision, body, target)


def network(config: CLIPConfig, *, tokens: int) -> Network:
    """input_ids int32 (1, L) → hidden_states (1, L, D), pooled (1, P), in the graph's floats (L `tokens`)."""

    def body(g: Graph, input_ids: Var) -> Mapping[str, Var]:
        hidden = None
        with g.scope("text_model"):
            x = embed(g, config, input_ids)
            mask = causal_mask(g, tokens)
            for index in range(config.layers):
                wanted = index == config.layers - 2
                with g.scope(f"encoder.layers.{index}"):
                    x = encoder_layer(g, config, x, mask, wanted)
                hidden = x if wanted else hidden
            end = nn.first_match(g, x, input_ids, config.eos_token_id)
            output = nn.direct_output(g, names.POOLED)
            norm_output = None if config.projection else output
            pooled = nn.layer_norm(g, end, "final_layer_norm", config.epsilon, output=norm_output)
        if config.projection:
            pooled = nn.linear(g, pooled, "text_projection", config.projection, bias=False, output=output)
        return {
            names.HIDDEN_STATES: nn.rows_from_tokens(g, hidden, output=names.HIDDEN_STATES),
            names.POOLED: nn.rows_from_vector(g, pooled, output=names.POOLED),
        }

    return Network((IOSpec(names.INPUT_IDS, "int32", (1, tokens)),), body)


def embed(g: Graph, config: CLIPConfig, ids: Var) -> Var:
    """Token plus position embedding: (1, L) → tokens (1, L, D)."""
    tokens, width = int(ids.shape[1]), config.hidden_size
    with g.scope("embeddings"):
        x = nn.embedding(g, ids, "token_embedding", config.vocab_size, width)
        x = nn.tokens_from_rows(g, x, name="token_embedding")
        table = g.source("position_embedding.weight", (config.max_positions, width))

        def make() -> Array:
            return table.elements(0, tokens * width, np.float32).reshape(tokens, width)

        rows = nn.token_table(g, "position_embedding.weight", (tokens, width), make)
        return nn.add(g, x, rows, name="sum")


def causal_mask(g: Graph, tokens: int) -> AttentionBias:
    """0 up to the diagonal, MASKED above it."""

    def make() -> Array:
        return np.triu(np.full((tokens, tokens), MASKED, np.float32), 1)[None]

    return nn.attention_bias(g, "causal_mask", (1, tokens, tokens), make)


def encoder_layer(g: Graph, config: CLIPConfig, x: Var, mask: AttentionBias, wanted: bool) -> Var:
    """One pre-norm block: tokens → tokens; `wanted` if they are an output of the model."""
    width = config.hidden_size
    y = nn.layer_norm(g, x, "layer_norm1", config.epsilon)
    q, k, v = (
        nn.split_heads(g, nn.linear(g, y, f"self_attn.{n}_proj", width), config.heads, name=f"self_attn.{n}")
        for n in "qkv"
    )
    y = nn.attention(g, q, k, v, mask=mask, heads=config.heads, name="self_attn")
    x = nn.add(g, x, nn.linear(g, y, "self_attn.out_proj", width), name="attended")
    y = nn.layer_norm(g, x, "layer_norm2", config.epsilon)
    y = nn.linear(g, y, "mlp.fc1", config.intermediate_size)
    y = nn.activation(g, y, config.activation, name="mlp.act")
    output = nn.direct_output(g, names.HIDDEN_STATES) if wanted else None
    return nn.add(g, x, nn.linear(g, y, "mlp.fc2", width), name="out", output=output)
