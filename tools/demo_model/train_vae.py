#!/usr/bin/env python3
"""Trains the demo model's autoencoder (f8, 8 latent channels) from nothing; goes on where it stopped.

    python train_vae.py --work WORK --minutes 16

Most of the time goes into 64x64 crops, the last 30 % into whole pictures, which the group norms and the
attention in the middle need to see.  The loss is L1 + half the L1 of the gradients (sharp edges) + L2 +
a little KL.
"""

from __future__ import annotations

import pathlib
import random

import torch
from dataset import pictures, to_model_range
from diffusers import AutoencoderKL
from models import make_vae
from optimizer import MuonAdam, rate_factor
from source_tree import demo_world
from training import Average, Budget, Every, autocast, common_arguments, log, save_atomically

SCENES = 6000
CROP = 64
WHOLE_FROM = 0.7
KL_WEIGHT = 5e-4
DECAY = 0.998


def main() -> None:
    args = common_arguments(__doc__, minutes=16).parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    device = torch.device(args.device)
    train(
        args.work / "vae.pt",
        args.minutes,
        args.batch or (64 if device.type == "cuda" else 12),
        args.seed,
        device,
    )
    log(f"vae: {psnr(load_vae(args.work / 'vae.pt', device), device):.2f} dB on fresh scenes")


def train(path: pathlib.Path, minutes: float, batch: int, seed: int, device: torch.device) -> None:
    torch.manual_seed(seed)
    vae = make_vae().to(device)
    optimizer = MuonAdam([vae])
    average = Average(vae.state_dict(), DECAY)
    step, spent = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location=device)
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["opt"])
        average.values, step, spent = state["ema"], state["step"], state["spent"]
        log(f"vae: resumed at step {step}, {spent / 60:.1f} min")
    rng = random.Random(11)
    data = pictures([demo_world.sample_scene(rng) for _ in range(SCENES)])
    generator = torch.Generator().manual_seed(seed + step)
    budget, logging, saving = Budget(minutes, spent), Every(20), Every(120)

    def save() -> None:
        state = {"model": vae.state_dict(), "opt": optimizer.state_dict(), "ema": average.values}
        save_atomically(path, {**state, "step": step, "spent": budget.spent})

    while (progress := budget.progress) < 1:
        optimizer.scale_rates(rate_factor(progress))
        whole = progress > WHOLE_FROM
        x = to_model_range(draw_batch(data, max(4, batch // 4) if whole else batch, whole, generator), device)
        loss = loss_of(vae, x)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(optimizer.adam_parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(vae.state_dict())
        step += 1
        if logging.due():
            log(f"vae: step {step}, {100 * progress:.1f} %, loss {loss.item():.4f}")
        if saving.due():
            save()
    save()


def draw_batch(data: torch.Tensor, count: int, whole: bool, generator: torch.Generator) -> torch.Tensor:
    """Random pictures or crops of them, mirrored half of the time."""
    rows = torch.randint(len(data), (count,), generator=generator).tolist()
    steps = (data.shape[1] - CROP) // 8 + 1
    ys, xs = (8 * torch.randint(steps, (2, count), generator=generator)).tolist()
    if whole:
        batch = data[rows]
    else:
        batch = torch.stack(
            [data[r, y : y + CROP, x : x + CROP] for r, y, x in zip(rows, ys, xs, strict=True)]
        )
    return batch.flip(2) if torch.rand((), generator=generator) < 0.5 else batch


def loss_of(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    with autocast(x.device):
        mean, log_variance = vae.encoder(x).chunk(2, 1)
        log_variance = log_variance.clamp(-12, 6)
        y = vae.decoder(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance))
    error, mean, log_variance = y.float() - x, mean.float(), log_variance.float()
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return error.abs().mean() + 0.5 * edges + error.square().mean() + KL_WEIGHT * kl


def load_vae(path: pathlib.Path, device: torch.device) -> AutoencoderKL:
    """The averaged autoencoder of a checkpoint."""
    vae = make_vae().to(device)
    vae.load_state_dict(torch.load(path, map_location=device)["ema"])
    return vae.eval()


@torch.no_grad()
def psnr(vae: AutoencoderKL, device: torch.device, count: int = 160, seed: int = 77) -> float:
    """Mean reconstruction PSNR in dB over scenes that no training saw."""
    rng = random.Random(seed)
    values = []
    for _ in range(count // 16):
        x = to_model_range(pictures([demo_world.sample_scene(rng, held_out=True) for _ in range(16)]), device)
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(-10 * torch.log10(((x - y) / 2).square().mean((1, 2, 3))))
    return torch.cat(values).mean().item()


if __name__ == "__main__":
    main()
