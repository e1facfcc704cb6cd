"""The flow's loss on a random batch: which scenes, how much noise, how many zero tokens.

σ is logit-normal with its mean above one half, where a schedule with shift 2 spends most of its steps;
each batch's σ are stratified, which makes the gradient less noisy.  A tenth of the captions is left empty
for guidance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from models import Flow
from training import autocast

SIGMA_MEAN, SIGMA_STD = 0.5, 1.1
EMPTY_CAPTIONS = 0.1
ZERO_TOKENS = [24] * 5 + [77] + [256] * 4  # both conventions for the absent T5, and one between


@dataclass
class Batches:
    """Normalised latents (N, C, h, w), caption ids (N, captions, tokens) and the empty caption's ids."""

    latents: torch.Tensor
    ids: torch.Tensor
    empty: torch.Tensor

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.randint(len(self.latents), (count,))
        ids = self.ids[rows, torch.randint(self.ids.shape[1], (count,))]
        unconditional = torch.rand(count) < EMPTY_CAPTIONS
        return self.latents[rows].float(), torch.where(unconditional[:, None], self.empty, ids).long()


def draw_sigmas(count: int) -> torch.Tensor:
    """Stratified samples of a logit-normal distribution."""
    uniform = (torch.arange(count) + torch.rand(count)) / count
    return torch.sigmoid(torch.special.ndtri(uniform.clamp(1e-4, 1 - 1e-4)) * SIGMA_STD + SIGMA_MEAN)


@dataclass
class Objective:
    """Calling it gives a batch's mean loss and its number of samples."""

    batches: Batches
    count: int
    device: torch.device

    def __call__(self, model: Flow) -> tuple[torch.Tensor, int]:
        latents, ids = (tensor.to(self.device) for tensor in self.batches.draw(self.count))
        sigma = draw_sigmas(self.count).to(self.device)
        noise = torch.randn_like(latents)
        model.zeros.set_count(ZERO_TOKENS[int(torch.randint(len(ZERO_TOKENS), ()))])
        s = sigma.view(-1, 1, 1, 1)
        with autocast(self.device):
            velocity = model((1 - s) * latents + s * noise, sigma, ids)
        return (velocity.float() - (noise - latents)).square().mean(), self.count
