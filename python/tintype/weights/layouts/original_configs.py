"""The config.json that a publisher's tensors imply, under the keys of the Hugging Face layout.

Dimensions are read from shapes, features (guidance, QK norm, dual attention) from the presence of tensors.
What tensors do not show (the number of heads without a QK norm, the groups of a group norm, an activation,
the latent's scale) comes from `hints`, a config.json of the same component, or else is the published models'.

Tensors are given under the names in `tintype.models`.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import CheckpointError
from ...weight import Weight

__all__ = ["CONFIGS", "SCHEDULERS"]

Tensors = Mapping[str, Weight]
Json = Mapping[str, Any]

#: Width of a head in the published models, where no tensor shows it.
CLIP_HEAD = SD3_HEAD = 64

#: FLUX.1's rotated channels for (text, row, column), by the width of a head.
FLUX_AXES = {128: (16, 56, 56)}

#: Groups of the published autoencoders' group norms.
VAE_GROUPS = 32


def _shape(tensors: Tensors, key: str) -> tuple[int, ...]:
    if key not in tensors:
        raise CheckpointError(
            f"the tensor {key} is missing: this is no complete checkpoint, download it again"
        )
    return tensors[key].shape


def _count(tensors: Tensors, pattern: str) -> int:
    """One more than the largest number that the group of `pattern` finds at the beginning of a key."""
    found = [int(m[1]) for m in (re.match(pattern, key) for key in tensors) if m]
    return max(found, default=-1) + 1


def _sd3(tensors: Tensors, hints: Json) -> dict[str, Any]:
    width, context = _shape(tensors, "context_embedder.weight")
    _, channels, patch, _ = _shape(tensors, "pos_embed.proj.weight")
    norm = tensors.get("transformer_blocks.0.attn.norm_q.weight")
    head = norm.shape[0] if norm else int(hints.get("attention_head_dim", SD3_HEAD))
    layers = _count(tensors, r"transformer_blocks\.(\d+)\.")
    dual = [i for i in range(layers) if f"transformer_blocks.{i}.attn2.to_q.weight" in tensors]
    return {
        "_class_name": "SD3Transformer2DModel",
        "num_layers": layers,
        "attention_head_dim": head,
        "num_attention_heads": max(width // max(head, 1), 1),
        "in_channels": channels,
        "out_channels": _shape(tensors, "proj_out.weight")[0] // max(patch, 1) ** 2,
        "patch_size": patch,
        "joint_attention_dim": context,
        "caption_projection_dim": width,
        "pooled_projection_dim": _shape(tensors, "time_text_embed.text_embedder.linear_1.weight")[1],
        "pos_embed_max_size": math.isqrt(_shape(tensors, "pos_embed.pos_embed")[1]),
        "qk_norm": "rms_norm" if norm else None,
        "dual_attention_layers": dual,
        "sample_size": hints.get("sample_size", 128),
    }


def _flux(tensors: Tensors, hints: Json) -> dict[str, Any]:
    width, channels = _shape(tensors, "x_embedder.weight")
    (head,) = _shape(tensors, "transformer_blocks.0.attn.norm_q.weight")
    axes = hints.get("axes_dims_rope", FLUX_AXES.get(head))
    if axes is None:
        raise CheckpointError(
            f"the heads are {head} wide, and no tensor says how many of those channels are rotated by row "
            "and column: give the model's Hugging Face folder, with transformer/config.json, as --tokenizers"
        )
    return {
        "_class_name": "FluxTransformer2DModel",
        "patch_size": 1,
        "num_layers": _count(tensors, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": _count(tensors, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": max(width // max(head, 1), 1),
        "in_channels": channels,
        "out_channels": _shape(tensors, "proj_out.weight")[0],
        "joint_attention_dim": _shape(tensors, "context_embedder.weight")[1],
        "pooled_projection_dim": _shape(tensors, "time_text_embed.text_embedder.linear_1.weight")[1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in tensors,
        "axes_dims_rope": list(axes),
    }


def _clip(activation: str) -> Callable[[Tensors, Json], dict[str, Any]]:
    def config(tensors: Tensors, hints: Json) -> dict[str, Any]:
        vocabulary, width = _shape(tensors, "text_model.embeddings.token_embedding.weight")
        projected = "text_projection.weight" in tensors
        found = {
            "architectures": ["CLIPTextModelWithProjection" if projected else "CLIPTextModel"],
            "vocab_size": vocabulary,
            "hidden_size": width,
            "intermediate_size": _shape(tensors, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
            "num_hidden_layers": _count(tensors, r"text_model\.encoder\.layers\.(\d+)\."),
            "num_attention_heads": hints.get("num_attention_heads", max(width // CLIP_HEAD, 1)),
            "max_position_embeddings": _shape(tensors, "text_model.embeddings.position_embedding.weight")[0],
            "hidden_act": hints.get("hidden_act", activation),
            "layer_norm_eps": hints.get("layer_norm_eps", 1e-5),
            "eos_token_id": hints.get("eos_token_id", 2),
        }
        if projected:
            found["projection_dim"] = _shape(tensors, "text_projection.weight")[0]
        return found

    return config


def _t5(tensors: Tensors, hints: Json) -> dict[str, Any]:
    attention = "encoder.block.0.layer.0.SelfAttention"
    embedding = "shared.weight" if "shared.weight" in tensors else "encoder.embed_tokens.weight"
    vocabulary, width = _shape(tensors, embedding)
    buckets, heads = _shape(tensors, f"{attention}.relative_attention_bias.weight")
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": _shape(tensors, f"{attention}.q.weight")[0] // max(heads, 1),
        "num_heads": heads,
        "d_ff": _shape(tensors, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight")[0],
        "num_layers": _count(tensors, r"encoder\.block\.(\d+)\."),
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": hints.get("relative_attention_max_distance", 128),
        "layer_norm_epsilon": hints.get("layer_norm_epsilon", 1e-6),
        "feed_forward_proj": "gated-gelu",
    }


def _vae(scale: float, shift: float) -> Callable[[Tensors, Json], dict[str, Any]]:
    def config(tensors: Tensors, hints: Json) -> dict[str, Any]:
        stages = _count(tensors, r"encoder\.down_blocks\.(\d+)\.")
        quant = "quant_conv.weight" in tensors
        return {
            "_class_name": "AutoencoderKL",
            "latent_channels": _shape(tensors, "decoder.conv_in.weight")[1],
            "block_out_channels": [
                _shape(tensors, f"encoder.down_blocks.{i}.resnets.0.conv1.weight")[0] for i in range(stages)
            ],
            "layers_per_block": _count(tensors, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
            "norm_num_groups": hints.get("norm_num_groups", VAE_GROUPS),
            "scaling_factor": hints.get("scaling_factor", scale),
            "shift_factor": hints.get("shift_factor", shift),
            "mid_block_add_attention": "decoder.mid_block.attentions.0.to_q.weight" in tensors,
            "use_quant_conv": quant,
            "use_post_quant_conv": "post_quant_conv.weight" in tensors,
        }

    return config


#: (pipeline, part) → its config. The latents' scale and shift are the published ones.
CONFIGS: Mapping[tuple[str, str], Callable[[Tensors, Json], dict[str, Any]]] = {
    ("StableDiffusion3Pipeline", "transformer"): _sd3,
    ("StableDiffusion3Pipeline", "text_encoder"): _clip("quick_gelu"),
    ("StableDiffusion3Pipeline", "text_encoder_2"): _clip("gelu"),
    ("StableDiffusion3Pipeline", "text_encoder_3"): _t5,
    ("StableDiffusion3Pipeline", "vae"): _vae(1.5305, 0.0609),
    ("FluxPipeline", "transformer"): _flux,
    ("FluxPipeline", "text_encoder"): _clip("quick_gelu"),
    ("FluxPipeline", "text_encoder_2"): _t5,
    ("FluxPipeline", "vae"): _vae(0.3611, 0.1159),
}

_FLOW_MATCH = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}


def _flux_scheduler(transformer: Json) -> dict[str, Any]:
    """dev, which embeds guidance, shifts by the image's size; schnell does not."""
    if not transformer["guidance_embeds"]:
        return {**_FLOW_MATCH, "shift": 1.0}
    size = {"base_image_seq_len": 256, "max_image_seq_len": 4096}
    return {**_FLOW_MATCH, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15, **size}


#: pipeline → the published scheduler_config.json, by the transformer's config.
SCHEDULERS: Mapping[str, Callable[[Json], dict[str, Any]]] = {
    "StableDiffusion3Pipeline": lambda transformer: {**_FLOW_MATCH, "shift": 3.0},
    "FluxPipeline": _flux_scheduler,
}
