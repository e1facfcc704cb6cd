"""The tiny Stable Diffusion 3 pipeline's networks, in the public diffusers and transformers layouts.

    caption ids → te1, te2 (CLIP) → tokens, pooled ┐
    noisy latents, sigma ──────────────────────────┴→ SD3 transformer → velocity
    latents ↔ AutoencoderKL ↔ picture

There is no T5: as in any SD3 pipeline without it, zero tokens stand in its place.
"""

from __future__ import annotations

import math
import pathlib
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from source_tree import demo_world
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

PICTURE_SIZE: int = demo_world.world.SIZE


@dataclass(frozen=True)
class TextConfig:
    """One CLIP text encoder."""

    width: int
    layers: int
    heads: int
    activation: str


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of all networks; in float16 they make 10 MB together."""

    vae_widths: tuple[int, ...] = (16, 24, 48, 64)
    vae_layers: int = 1
    latent_channels: int = 8
    heads: int = 4
    head_dim: int = 32
    depth: int = 6
    te1: TextConfig = TextConfig(96, 3, 4, "quick_gelu")
    te2: TextConfig = TextConfig(64, 2, 4, "gelu")
    max_tokens: int = 24

    @property
    def text_width(self) -> int:
        return self.te1.width + self.te2.width

    @property
    def latent_size(self) -> int:
        return PICTURE_SIZE // 2 ** (len(self.vae_widths) - 1)


CONFIG = ModelConfig()


def make_vae(config: ModelConfig = CONFIG) -> AutoencoderKL:
    levels = len(config.vae_widths)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.vae_widths,
        layers_per_block=config.vae_layers,
        latent_channels=config.latent_channels,
        norm_num_groups=8,
        sample_size=PICTURE_SIZE,
        scaling_factor=1.0,  # the export writes the measured ones
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        force_upcast=False,
    )


def make_text_encoder(
    text: TextConfig, tokenizer: CLIPTokenizer, max_tokens: int
) -> CLIPTextModelWithProjection:
    model = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=text.width,
            intermediate_size=4 * text.width,
            projection_dim=text.width,
            num_hidden_layers=text.layers,
            num_attention_heads=text.heads,
            max_position_embeddings=max_tokens,
            hidden_act=text.activation,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # transformers' own initialisation (0.02) is made for large widths
    for name, parameter in model.named_parameters():
        if "token_embedding" in name:
            torch.nn.init.normal_(parameter, std=0.3)
        elif "position_embedding" in name:
            torch.nn.init.normal_(parameter, std=0.1)
        elif parameter.ndim == 2:
            torch.nn.init.xavier_uniform_(parameter)
    return model


def make_transformer(config: ModelConfig = CONFIG) -> SD3Transformer2DModel:
    model = SD3Transformer2DModel(
        sample_size=config.latent_size,
        patch_size=2,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        num_layers=config.depth,
        attention_head_dim=config.head_dim,
        num_attention_heads=config.heads,
        joint_attention_dim=config.text_width,
        caption_projection_dim=config.heads * config.head_dim,
        pooled_projection_dim=config.text_width,
        pos_embed_max_size=config.latent_size,
    )
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            torch.nn.init.xavier_uniform_(parameter)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    # every block begins as the identity and the velocity as zero
    for name, parameter in model.named_parameters():
        modulation = ".linear." in name and any(n in name for n in ("norm1", "norm1_context", "norm_out"))
        if modulation or name.startswith("proj_out"):
            torch.nn.init.zeros_(parameter)
    return model


class MergedZeros:
    """SD3's joint attention with all of the absent T5's zero tokens merged into the last one.

    A pipeline without T5 appends n equal zero tokens to the text: the tokenizer's length in some
    versions, 256 in others.  Equal tokens stay equal through every layer, so one token whose attention
    logit is raised by log(n) is exactly the same and cheaper.  Training varies n, so the model works
    with either.  Only training uses this processor; the exported model has the usual one.
    """

    def __init__(self) -> None:
        self.log_count = torch.zeros(())  # on the CPU; attention moves it

    def set_count(self, count: int) -> None:
        self.log_count.fill_(math.log(count))

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None):  # type: ignore[no-untyped-def]
        img_tokens = hidden_states.shape[1]

        def heads(x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # B, H, T, C

        img = [heads(project(hidden_states)) for project in (attn.to_q, attn.to_k, attn.to_v)]
        txt_projections = (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
        txt = [heads(project(encoder_hidden_states)) for project in txt_projections]
        q, k, v = (torch.cat(pair, 2) for pair in zip(img, txt, strict=True))
        bias = functional.pad(self.log_count.to(q).view(1, 1, 1, 1), (k.shape[2] - 1, 0))
        mask = bias.expand(q.shape[0], q.shape[1], q.shape[2], -1)
        joint = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        joint = joint.transpose(1, 2).flatten(2)  # B, T, H*C
        img_out, txt_out = joint[:, :img_tokens], joint[:, img_tokens:]
        if not attn.context_pre_only:
            txt_out = attn.to_add_out(txt_out)
        return attn.to_out[0](img_out), txt_out


class Flow(torch.nn.Module):
    """Text encoders and transformer, trained together: the velocity of noisy latents under captions."""

    def __init__(self, tokenizer: CLIPTokenizer, config: ModelConfig = CONFIG) -> None:
        super().__init__()
        self.te1 = make_text_encoder(config.te1, tokenizer, config.max_tokens)
        self.te2 = make_text_encoder(config.te2, tokenizer, config.max_tokens)
        self.transformer = make_transformer(config)
        self.zeros = MergedZeros()
        self.transformer.set_attn_processor(self.zeros)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def load_pipeline(self, folder: pathlib.Path) -> tuple[float, float]:
        """Takes the weights of an exported pipeline over; returns its latents' shift and scale."""
        for name, encoder in (("text_encoder", self.te1), ("text_encoder_2", self.te2)):
            loaded = CLIPTextModelWithProjection.from_pretrained(folder / name, dtype=torch.float32)
            encoder.load_state_dict(loaded.state_dict())
        transformer = SD3Transformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
        self.transformer.load_state_dict(transformer.state_dict())
        vae = AutoencoderKL.load_config(folder / "vae")
        return vae["shift_factor"], vae["scaling_factor"]

    def text(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (both encoders' last but one layer, then one zero token) and pooled embedding."""
        first, second = (encoder(ids, output_hidden_states=True) for encoder in (self.te1, self.te2))
        tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        pooled = torch.cat([first.text_embeds, second.text_embeds], -1)
        return functional.pad(tokens, (0, 0, 0, 1)), pooled

    def forward(self, latents: torch.Tensor, sigma: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        tokens, pooled = self.text(ids)
        return self.transformer(
            hidden_states=latents,
            encoder_hidden_states=tokens,
            pooled_projections=pooled,
            timestep=sigma * 1000,
            return_dict=False,
        )[0]
