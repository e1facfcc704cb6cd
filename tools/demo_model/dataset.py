"""What the flow trains on: scenes encoded once by the autoencoder, with several captions each.

Latents are cached in shards of 4000 scenes, so an interrupted run loses little and more shards can be
added later.  A shard depends on its number alone.
"""

from __future__ import annotations

import pathlib
import random
import time
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from source_tree import demo_world
from training import log, save_atomically
from transformers import CLIPTokenizer

SHARD_SCENES = 4000
SHARD_SEED = 7000
CAPTIONS = 6
ENCODE_BATCH = 20


@dataclass
class Latents:
    """Encoded scenes: `latents` float16 (N, C, h, w), not normalised; `ids` int16 (N, captions, tokens)."""

    latents: torch.Tensor
    ids: torch.Tensor


def pictures(scenes: list) -> torch.Tensor:
    """Rendered scenes as uint8 (N, H, W, 3)."""
    return torch.from_numpy(np.stack([np.asarray(demo_world.render(scene)) for scene in scenes]))


def to_model_range(picture: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in -1 ... 1."""
    return picture.to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def tokenise(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    ids = tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True
    ).input_ids
    return torch.tensor(ids, dtype=torch.int16)


def load_latents(
    folder: pathlib.Path, shards: int, vae: AutoencoderKL, tokenizer: CLIPTokenizer, device: torch.device
) -> Latents:
    """The first shards of the training set, encoded now where they are missing."""
    parts = []
    for shard in range(shards):
        path = folder / f"latents{shard:02}.pt"
        if not path.exists():
            begin = time.time()
            save_atomically(path, _encode_shard(shard, vae, tokenizer, device))
            log(f"latents: shard {shard + 1} of {shards} in {time.time() - begin:.0f} s")
        parts.append(torch.load(path))
    return Latents(torch.cat([p["z"] for p in parts]), torch.cat([p["ids"] for p in parts]))


@torch.no_grad()
def _encode_shard(
    shard: int, vae: AutoencoderKL, tokenizer: CLIPTokenizer, device: torch.device
) -> dict[str, torch.Tensor]:
    rng = random.Random(SHARD_SEED + shard)
    latents, ids = [], []
    for _ in range(SHARD_SCENES // ENCODE_BATCH):
        scenes = [demo_world.sample_scene(rng) for _ in range(ENCODE_BATCH)]
        captions = [demo_world.caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)]
        batch = to_model_range(pictures(scenes), device)
        latents.append(vae.encode(batch).latent_dist.mode().half().cpu())
        ids.append(tokenise(tokenizer, captions).unflatten(0, (ENCODE_BATCH, CAPTIONS)))
    return {"z": torch.cat(latents), "ids": torch.cat(ids)}
