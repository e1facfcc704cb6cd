"""Muon for hidden matrices and convolutions, AdamW's update for everything else, and the learning rate.

Muon orthogonalises the momentum of every matrix; on models as small as this one it needs about half of
Adam's steps.  Matrices of one shape are orthogonalised together, which keeps its cost low on a CPU.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch

NOT_MUON = (
    "embed",
    "norm",
    "conv_in",
    "conv_out",
    "proj_out",
    "context_embedder",
    "text_projection",
)
MUON_RATE = 0.01
ADAM_SHARE = 0.2  # AdamW's rate as a share of Muon's
BETAS = (0.9, 0.98)
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan et al., "Muon", 2024


def orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Nearly the nearest semi-orthogonal matrices of a batch (B, rows, columns), by Newton-Schulz."""
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class MuonAdam(torch.optim.Optimizer):
    """Two groups: `muon` (matrices) and `adam` (the rest); `scale_rates` sets both learning rates."""

    def __init__(
        self, modules: Iterable[torch.nn.Module], rate: float = MUON_RATE, momentum: float = 0.95
    ) -> None:
        named = [item for module in modules for item in module.named_parameters()]
        matrix = {name: p.ndim >= 2 and not any(part in name for part in NOT_MUON) for name, p in named}
        groups = [
            {"params": [p for name, p in named if matrix[name]], "kind": "muon", "base_lr": rate},
            {
                "params": [p for name, p in named if not matrix[name]],
                "kind": "adam",
                "base_lr": rate * ADAM_SHARE,
            },
        ]
        self.momentum = momentum
        super().__init__(groups, {"lr": 0.0})

    @property
    def adam_parameters(self) -> list[torch.nn.Parameter]:
        return self.param_groups[1]["params"]

    def scale_rates(self, factor: float) -> None:
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * factor

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            update = self._muon if group["kind"] == "muon" else self._adam
            update(group, parameters, [p.grad for p in parameters])

    def _buffers(self, parameters: list[torch.nn.Parameter], key: str) -> list[torch.Tensor]:
        for p in parameters:
            if key not in self.state[p]:
                self.state[p][key] = torch.zeros_like(p)
        return [self.state[p][key] for p in parameters]

    def _muon(self, group: dict[str, Any], parameters: list, gradients: list) -> None:
        momenta = self._buffers(parameters, "m")
        torch._foreach_lerp_(momenta, gradients, 1 - self.momentum)
        updates = torch._foreach_lerp(gradients, momenta, self.momentum)
        by_shape = defaultdict(list)
        for p, update in zip(parameters, updates, strict=True):
            by_shape[p.shape[0], p[0].numel()].append((p, update))
        for (rows, columns), items in by_shape.items():
            directions = orthogonalise(torch.stack([u.reshape(rows, columns) for _, u in items]).float())
            rate = group["lr"] * max(1.0, rows / columns) ** 0.5
            steps = [d.reshape(p.shape) for d, (p, _) in zip(directions, items, strict=True)]
            torch._foreach_add_([p for p, _ in items], steps, alpha=-rate)

    def _adam(self, group: dict[str, Any], parameters: list, gradients: list) -> None:
        first, second = self._buffers(parameters, "a"), self._buffers(parameters, "b")
        group["t"] = group.get("t", 0) + 1
        beta1, beta2 = BETAS
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        scale = torch._foreach_sqrt(second)
        torch._foreach_div_(scale, math.sqrt(1 - beta2 ** group["t"]))
        torch._foreach_add_(scale, 1e-8)
        torch._foreach_addcdiv_(parameters, first, scale, -group["lr"] / (1 - beta1 ** group["t"]))


def rate_factor(progress: float, warm: float = 0.01, hold: float = 0.4) -> float:
    """Learning-rate factor at a share of the time: warm-up, constant, then linear to nearly zero."""
    if progress < warm:
        return max(0.05, progress / warm)
    return 1.0 if progress < hold else max(0.005, (1 - progress) / (1 - hold))
