"""What both training stages share: the clock that drives the learning rate, averages and checkpoints."""

from __future__ import annotations

import argparse
import os
import pathlib
import time
from typing import Any

import torch

HERE = pathlib.Path(__file__).resolve().parent


def log(*words: object) -> None:
    print(time.strftime("[%H:%M:%S]"), *words, flush=True)


def save_atomically(path: pathlib.Path, value: Any) -> None:
    """A reader, or a run that is stopped meanwhile, never meets half a file."""
    scratch = path.with_suffix(".tmp")
    torch.save(value, scratch)
    os.replace(scratch, path)


class Budget:
    """A stage's training time over all its runs, in minutes; `progress` goes from 0 to 1."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.seconds = minutes * 60
        self._begin = time.time() - spent

    @property
    def spent(self) -> float:
        return time.time() - self._begin

    @property
    def progress(self) -> float:
        return self.spent / self.seconds


class Every:
    """True once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = time.time()

    def due(self) -> bool:
        if time.time() - self._last < self.seconds:
            return False
        self._last = time.time()
        return True


class Average:
    """Exponential moving average of parameters; it follows quickly at first."""

    def __init__(self, values: dict[str, torch.Tensor], decay: float) -> None:
        self.values = {name: value.detach().clone() for name, value in values.items()}
        self.decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, values: dict[str, torch.Tensor]) -> None:
        self._updates += 1
        decay = min(self.decay, self._updates / (20 + self._updates))
        torch._foreach_lerp_(list(self.values.values()), [values[name] for name in self.values], 1 - decay)


def common_arguments(description: str | None, minutes: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=pathlib.Path, required=True, help="checkpoints and cached latents")
    parser.add_argument("--minutes", type=float, default=minutes, help="the stage's time over all its runs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=0, help="0: what suits the device")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU; on CPUs float32 is faster for matrices as small as these."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
