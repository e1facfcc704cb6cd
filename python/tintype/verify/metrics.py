"""Two numbers for how well an array agrees with its reference."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Agreement", "agreement", "worst"]

Array = np.ndarray[Any, Any]

#: What PSNR is capped at: beyond it float32 itself rounds.
MAX_PSNR = 150.0


@dataclass(frozen=True)
class Agreement:
    """psnr: 20·log10(max|reference| / RMS error) in dB; cosine: of the two as vectors, 1 is the same."""

    psnr: float
    cosine: float

    def to_json(self) -> dict[str, float]:
        """Rounded for bundle.json."""
        return {"psnr": round(self.psnr, 2), "cosine": round(self.cosine, 6)}


def agreement(pairs: Iterable[tuple[Array, Array]]) -> Agreement:
    """Of (got, reference) pairs taken together, as if they were one array. NaN and infinities agree not at
    all."""
    peak = error = dot = norm_got = norm_reference = 0.0
    count = 0
    for got, reference in pairs:
        x, y = got.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
        if not np.isfinite(x).all():
            return Agreement(0.0, 0.0)
        peak = max(peak, float(np.abs(y).max(initial=0)))
        error += float(np.square(x - y).sum())
        dot, norm_got, norm_reference = (
            dot + float(x @ y),
            norm_got + float(x @ x),
            norm_reference + float(y @ y),
        )
        count += y.size
    rms = (error / max(count, 1)) ** 0.5
    if rms == 0:
        return Agreement(MAX_PSNR, 1.0)
    psnr = 20 * float(np.log10(max(peak, 1e-30) / rms))
    length = (norm_got * norm_reference) ** 0.5
    return Agreement(min(psnr, MAX_PSNR), dot / length if length > 0 else 0.0)


def worst(values: Iterable[Agreement]) -> Agreement:
    """The least of either number."""
    rows = list(values)
    return Agreement(min(v.psnr for v in rows), min(v.cosine for v in rows))
