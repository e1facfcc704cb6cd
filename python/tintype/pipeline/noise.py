"""Initial noise: NumPy's legacy generator, the contract that Apple's and DiffusionKit's pipelines share."""

import secrets
from typing import Any

import numpy as np

__all__ = ["MAX_SEED", "numpy_noise", "random_seed"]

MAX_SEED = 2**32 - 1


def numpy_noise(seed: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """`RandomState(seed).standard_normal(shape)`, drawn as float64 in NCHW order, rounded to float32."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def random_seed() -> int:
    """A seed from the system's entropy, 0 to 2³² - 1."""
    return secrets.randbits(32)
