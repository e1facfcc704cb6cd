"""A second process that computes gradients beside the training loop, on a CPU that others use as well.

Two threads in one process wait for each other several hundred times a step, so a single busy core stops
both.  Two processes of one thread each do not: the helper takes the weights as they are, works through a
batch and leaves its gradient; the loop picks up whatever has arrived since its last step.  Such gradients
are about one step old, which a lower momentum makes up for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.multiprocessing as processes
from torch.nn import Module

Objective = Callable[[Module], tuple[torch.Tensor, int]]


class GradientHelper:
    """Starts the process; `merge` adds its gradients to the loop's own."""

    def __init__(
        self, model: Module, make_model: Callable[[], Module], objective: Objective, seed: int, compiled: bool
    ) -> None:
        """`make_model` builds a like one in the helper, where `objective(model)` gives (loss, samples)."""
        self.parameters = list(model.parameters())
        context = processes.get_context("spawn")
        self._lock = context.Lock()
        self._gradients = [torch.zeros_like(p).share_memory_() for p in self.parameters]
        self._totals = torch.zeros(2, dtype=torch.float64).share_memory_()  # samples, loss × samples
        weights = [p.data.share_memory_() for p in self.parameters]  # the helper sees every update
        self._process = context.Process(
            target=_work,
            args=(make_model, objective, seed, compiled, weights, self._gradients, self._totals, self._lock),
            daemon=True,
        )
        self._process.start()

    def merge(self, samples: int) -> tuple[int, float]:
        """Averages the loop's gradients (of so many samples) with the helper's; its (samples, loss sum)."""
        if not self._process.is_alive():
            raise RuntimeError(f"the helper process ended with exit code {self._process.exitcode}")
        with self._lock, torch.no_grad():
            helped, loss_sum = int(self._totals[0]), float(self._totals[1])
            if helped:
                total = samples + helped
                own = [p.grad for p in self.parameters]
                torch._foreach_mul_(own, samples / total)
                torch._foreach_add_(own, self._gradients, alpha=1 / total)
                torch._foreach_zero_(self._gradients)
                self._totals.zero_()
        return helped, loss_sum

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def _work(
    make_model: Callable[[], Module],
    objective: Objective,
    seed: int,
    compiled: bool,
    weights: list[torch.Tensor],
    gradients: list[torch.Tensor],
    totals: torch.Tensor,
    lock: Any,
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = make_model().train()
    parameters = list(model.parameters())
    if compiled:
        model.compile(dynamic=False)
    while True:
        with torch.no_grad():
            torch._foreach_copy_(parameters, weights)
        loss, samples = objective(model)
        loss.backward()
        with lock, torch.no_grad():
            torch._foreach_add_(gradients, [p.grad for p in parameters], alpha=samples)
            totals += torch.tensor([samples, loss.item() * samples], dtype=torch.float64)
        model.zero_grad(set_to_none=True)
