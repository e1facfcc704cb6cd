"""Latents and noise of a run as files: .npy as Swift's command writes them, or .safetensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .prompts import numbered

__all__ = ["ArrayFiles", "array_options"]

SUFFIXES = (".npy", ".safetensors")


@dataclass(frozen=True)
class ArrayFiles:
    """Where a run's arrays go, float32 [1, C, h, w]; None: nowhere.

    The one tensor of a .safetensors file is called `latents` or `noise`.
    """

    latents: Path | None
    noise: Path | None

    def check(self, picture: Path) -> None:
        """UsageError if a file cannot be written, or is named twice, before minutes of work."""
        from ..files import check_writable

        seen = {picture.absolute(): "--output"}
        for option, path in (("--latents-out", self.latents), ("--noise-out", self.noise)):
            if path is None:
                continue
            if path.suffix.lower() not in SUFFIXES:
                raise UsageError(
                    f"{option} is {path}, expected a name that ends with {' or '.join(SUFFIXES)}"
                )
            if path.absolute() in seen:
                raise UsageError(
                    f"{option} is {path}, the file of {seen[path.absolute()]}, too: name another"
                )
            seen[path.absolute()] = option
            check_writable(path)

    def write(self, latents: Any, noise: Any, number: str) -> None:
        """Write what is asked for; `number` is the picture's among several, or empty."""
        for name, path, array in (("latents", self.latents, latents), ("noise", self.noise, noise)):
            if path is not None:
                _write(numbered(path, number) if number else path, name, array)


def array_options(command: Any) -> Any:
    """`--latents-out` and `--noise-out`."""
    for name, what in (("--noise-out", "initial noise"), ("--latents-out", "final latents")):
        command = click.option(
            name,
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help=f"Also write the {what}, float32 [1, C, h, w], into a .npy or .safetensors file.",
        )(command)
    return command


def _write(path: Path, name: str, array: Any) -> None:
    import numpy as np

    from ..files import atomic_write
    from ..pipeline.tensor_file import write_tensors

    if path.suffix.lower() == ".safetensors":
        write_tensors(path, {name: array})
        return
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)
