"""The networks of Stable Diffusion 3 with the interfaces that Apple's ml-stable-diffusion pipeline calls.

The networks are those of `clip`, `t5`, `sd3` and `vae`; what differs is adapted inside the graph: ids arrive
as float32, text embeddings are laid out (B, C, 1, S), modulation and denoiser are one model, which takes the
timestep itself, and CLIP's outputs are float32. T5 takes an attention mask that has no influence: the
reference pipeline passes none.

Shape key: as in `sd3`; L CLIP tokens, T T5 tokens, J width of the text, P width of the pooled text.
"""

from collections.abc import Mapping

import numpy as np

from .. import layers as nn
from .. import names
from ..layers import Graph, IOSpec, Network, Precision, Var
from . import clip, sd3, t5, vae
from .cuts import whole

__all__ = ["clip_network", "decoder_network", "encoder_network", "mmdit_network", "t5_network"]

#: The pipeline always passes two rows: positive, negative.
BATCH = 2

TIMESTEP = "timestep"


def clip_network(config: clip.CLIPConfig, *, tokens: int) -> Network:
    """input_ids float32 (1, L) → hidden_embeds (1, L, D), pooled_outputs (1, P), float32."""
    inner = clip.network(config, tokens=tokens)

    def body(g: Graph, input_ids: Var) -> Mapping[str, Var]:
        outputs = inner.body(g, input_ids=nn.cast(g, input_ids, np.int32, name="ids"))
        pairs = (("hidden_embeds", names.HIDDEN_STATES), ("pooled_outputs", names.POOLED))
        return {name: wide(g, outputs[inner_name], name) for name, inner_name in pairs}

    return Network((IOSpec("input_ids", "float32", (1, tokens)),), body)


def t5_network(config: t5.T5Config, *, tokens: int) -> Network:
    """input_ids, attention_mask float32 (1, T) → encoder_hidden_states float32 (1, J, 1, T)."""
    inner = t5.network(config, tokens=tokens)

    def body(g: Graph, input_ids: Var, attention_mask: Var) -> Mapping[str, Var]:
        # The mask is an input of the graph, so it has to be read: it is added to the ids times 0.
        nothing = nn.mul(g, attention_mask, 0.0, name="mask_without_influence")
        ids = nn.cast(g, nn.add(g, input_ids, nothing, name="masked_ids"), np.int32, name="ids")
        x = inner.body(g, input_ids=ids)[names.HIDDEN_STATES]  # (1, T, J)
        x = nn.transpose(g, x, (0, 2, 1), name="channels")  # (1, J, T)
        x = nn.expand_dims(g, x, (2,), name="tokens")  # (1, J, 1, T)
        return {"encoder_hidden_states": wide(g, x, "encoder_hidden_states")}

    shape = (1, tokens)
    return Network(tuple(IOSpec(n, "float32", shape) for n in ("input_ids", "attention_mask")), body)


def mmdit_network(
    config: sd3.SD3Config, *, latent: tuple[int, int], tokens: int, precision: Precision
) -> Network:
    """latent_image_embeddings (2, C, h, w), timestep (2,) = σ·1000, token_level_text_embeddings (2, J, 1, S),
    pooled_text_embeddings (2, P, 1, 1) → denoiser_output (2, C, h, w), all float32."""
    modulation = sd3.modulation(config, precision=precision, batch=BATCH)
    denoiser = whole(sd3.DenoiserRow(config, latent, tokens, BATCH, precision))

    def body(g: Graph, **given: Var) -> Mapping[str, Var]:
        inner = {
            name: nn.cast(g, x, g.float, name=f"{name}_narrow")
            for name, x in given.items()
            if name != TIMESTEP
        }
        pooled = nn.reshape(
            g, inner["pooled_text_embeddings"], (BATCH, config.pooled_width), name="pooled"
        )  # (2, P)
        features = nn.cast(g, nn.timestep_features(g, given[TIMESTEP]), g.float, name="features")  # (2, 256)
        rows = modulation.body(g, timestep_features=features, pooled=pooled)[names.MODULATION_ROWS]
        context = nn.reshape(
            g, inner["token_level_text_embeddings"], (BATCH, config.context_width, tokens), name="text"
        )  # (2, J, S)
        values = {
            names.LATENT: inner["latent_image_embeddings"],
            names.CONTEXT: nn.transpose(g, context, (0, 2, 1), name="text_rows"),  # (2, S, J)
            names.MODULATION_ROWS: rows,
        }
        velocity = denoiser.body(g, **values)[names.VELOCITY]
        return {"denoiser_output": wide(g, velocity, "denoiser_output")}

    inputs = (
        IOSpec("latent_image_embeddings", "float32", (BATCH, config.in_channels, *latent)),
        IOSpec(TIMESTEP, "float32", (BATCH,)),
        IOSpec("token_level_text_embeddings", "float32", (BATCH, config.context_width, 1, tokens)),
        IOSpec("pooled_text_embeddings", "float32", (BATCH, config.pooled_width, 1, 1)),
    )
    return Network(inputs, body)


def decoder_network(config: vae.VAEConfig, *, latent: tuple[int, int], precision: Precision) -> Network:
    """z float32 (1, C, h, w) = latent / scale + shift → image (1, 3, H, W) in [−1, 1], in `precision`."""
    inner = vae.decoder(config, precision=precision, latent=latent)

    def body(g: Graph, z: Var) -> Mapping[str, Var]:
        return inner.body(g, latent=nn.cast(g, z, g.float, name="latent"))

    return Network((IOSpec("z", "float32", (1, config.latent_channels, *latent)),), body)


def encoder_network(config: vae.VAEConfig, *, latent: tuple[int, int], precision: Precision) -> Network:
    """z float32 (1, 3, H, W), a picture in [−1, 1] → moments (1, 2C, h, w), in `precision`."""
    inner = vae.encoder(config, precision=precision, latent=latent)
    shape = inner.inputs[0].shape

    def body(g: Graph, z: Var) -> Mapping[str, Var]:
        return inner.body(g, image=nn.cast(g, z, g.float, name="picture"))

    return Network((IOSpec("z", "float32", shape),), body)


def wide(g: Graph, x: Var, output: str) -> Var:
    """x as the float32 output `output`."""
    return nn.identity(g, nn.cast(g, x, np.float32, name=f"{output}_wide"), output=output)
