"""Draws with an exported pipeline through diffusers: float32 arithmetic on the float16 weights."""

from __future__ import annotations

import pathlib

import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image
from source_tree import demo_world

SIZE: int = demo_world.world.SIZE
STEPS = 12
GUIDANCE = 4.0
ZERO_TOKENS = 24  # in place of T5: the tokenizer's length


def load_pipeline(model: pathlib.Path, device: str = "cpu") -> StableDiffusion3Pipeline:
    pipeline = StableDiffusion3Pipeline.from_pretrained(
        model, text_encoder_3=None, tokenizer_3=None, dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def draw(
    pipeline: StableDiffusion3Pipeline,
    prompts: list[str],
    seeds: list[int],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    zero_tokens: int = ZERO_TOKENS,
) -> list[Image.Image]:
    """One picture a prompt; a picture depends on its prompt and seed, not on its batch."""
    return pipeline(
        prompts,
        height=SIZE,
        width=SIZE,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        max_sequence_length=zero_tokens,
    ).images
