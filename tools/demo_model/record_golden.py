#!/usr/bin/env python3
"""Records one generation of a pipeline with diffusers: what every backend's generation is compared with.

    python record_golden.py --model MODEL --out GOLDEN

Writes generate.safetensors (ids, embeddings, sigmas, the latents after every step, the decoded image),
generate.json (how) and image.png (four times as large, to look at).  float32 arithmetic on the float16
weights; the initial noise comes from numpy, so that every language can draw it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import numpy as np
import torch
from drawing import GUIDANCE, STEPS, ZERO_TOKENS, load_pipeline
from PIL import Image
from safetensors.torch import save_file
from source_tree import EMBEDDED_MODEL

PROMPT = "a red circle above a blue square on a white background"
NEGATIVE_PROMPT = ""
SIZE = 128
LATENT_SHAPE = (1, 8, 16, 16)
SEED = 7


@torch.no_grad()
def record(model: pathlib.Path) -> tuple[dict[str, torch.Tensor], Image.Image]:
    pipeline = load_pipeline(model)
    noise = torch.from_numpy(np.random.RandomState(SEED).standard_normal(LATENT_SHAPE).astype(np.float32))
    embeddings = pipeline.encode_prompt(
        PROMPT, None, None, negative_prompt=NEGATIVE_PROMPT, max_sequence_length=ZERO_TOKENS
    )
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled", "negative_pooled")
    trace: list[torch.Tensor] = []

    def keep(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        trace.append(tensors["latents"].clone())
        return tensors

    final = pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        height=SIZE,
        width=SIZE,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=noise.clone(),
        max_sequence_length=ZERO_TOKENS,
        output_type="latent",
        callback_on_step_end=keep,
    ).images
    vae = pipeline.vae
    image = vae.decode(final / vae.config.scaling_factor + vae.config.shift_factor).sample
    tokenizer = pipeline.tokenizer
    length = tokenizer.model_max_length
    padded = tokenizer(PROMPT, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    tensors = {
        "ids": padded.input_ids.int(),
        **dict(zip(names, embeddings, strict=True)),
        "initial_latent": noise,
        "sigmas": pipeline.scheduler.sigmas.float(),
        "timesteps": pipeline.scheduler.timesteps.float(),
        "latents": torch.stack(trace),
        "final_latent": final,
        "image": image,
    }
    picture = pipeline.image_processor.postprocess(image, output_type="pil")[0]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}, picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=EMBEDDED_MODEL)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tensors, picture = record(args.model)
    save_file(tensors, args.out / "generate.safetensors")
    facts = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE_PROMPT,
        "height": SIZE,
        "width": SIZE,
        "steps": STEPS,
        "guidance_scale": GUIDANCE,
        "zero_tokens": ZERO_TOKENS,
        "seed": SEED,
        "noise": f"numpy RandomState(seed).standard_normal, {LATENT_SHAPE}",
    }
    (args.out / "generate.json").write_text(json.dumps(facts, indent=1))
    picture.resize((4 * SIZE, 4 * SIZE), Image.Resampling.NEAREST).save(args.out / "image.png")


if __name__ == "__main__":
    main()
