"""Initial noise: normal numbers from a seed, by the generators that other tools use.

numpy     NumPy's legacy generator, the contract that Apple's and DiffusionKit's pipelines share
torch     PyTorch's on the CPU, which diffusers uses there, to the bit
philox    PyTorch's on CUDA: its bits; the device's fast logarithm and sine differ in the last digits
"""

import math
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from .torch_noise import TorchRandom

__all__ = [
    "GENERATORS",
    "MAX_SEED",
    "Noise",
    "NoiseStream",
    "NumPyRandom",
    "PhiloxRandom",
    "philox",
    "random_seed",
]

Array = np.ndarray[Any, Any]

MAX_SEED = 2**32 - 1

#: Philox's multipliers, and what a round adds to the key: the golden ratio and √3 - 1, as fractions of 2³².
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
#: Values at a time, so that intermediate arrays stay in the processor's cache.
PIECE = 8192
LOW = np.uint64(MAX_SEED)


class NormalGenerator(Protocol):
    """Standard normal numbers from a seed, 0 … 2³²-1."""

    def __init__(self, seed: int) -> None: ...

    def normals(self, count: int) -> Array:
        """The next `count` values, float32 or float64."""
        ...


class NumPyRandom:
    """`RandomState(seed).standard_normal`, float64."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)

    def normals(self, count: int) -> Array:
        return self._state.standard_normal(count)


class PhiloxRandom:
    """Philox4x32-10, drawn from as cuRAND does: the key is the seed, the counter's first word the number of
    draws before this one, its third word the element's place; the first two words of the result make one
    normal number by Box and Muller's sine. PyTorch's CUDA generator numbers its elements so for tensors that
    one pass of the device covers."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draws = 0

    def normals(self, count: int) -> Array:
        if count <= 0:
            return np.empty(0)
        pieces = [self._piece(start, min(start + PIECE, count)) for start in range(0, count, PIECE)]
        self._draws = (self._draws + 1) & MAX_SEED
        return np.concatenate(pieces)

    def _piece(self, start: int, end: int) -> Array:
        counter = np.zeros((4, end - start), dtype=np.uint64)
        counter[0], counter[2] = self._draws, np.arange(start, end)
        first, second = philox(counter, (self._seed & MAX_SEED, self._seed >> 32))[:2].astype(np.float64)
        radius = np.sqrt(-2 * np.log((first + 0.5) * 2.0**-32))
        return np.asarray(radius * np.sin((second + 0.5) * 2.0**-32 * 2 * math.pi))


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Ten rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011) over
    counters of four 32-bit words, uint64 [4, n] → [4, n]."""
    w0, w1, w2, w3 = counter
    low, high = key
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * w0, MULTIPLIERS[1] * w2
        shift = np.uint64(32)
        w0, w1 = (second >> shift) ^ w1 ^ np.uint64(low), second & LOW
        w2, w3 = (first >> shift) ^ w3 ^ np.uint64(high), first & LOW
        low, high = (low + KEY_STEPS[0]) & MAX_SEED, (high + KEY_STEPS[1]) & MAX_SEED
    return np.stack([w0, w1, w2, w3])


#: Name → generator.
GENERATORS: Mapping[str, type[NormalGenerator]] = {
    "numpy": NumPyRandom,
    "torch": TorchRandom,
    "philox": PhiloxRandom,
}


class Noise(Protocol):
    """The noise of every picture of a run, in order; a list of the caller's own is one, too."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Array]: ...


class NoiseStream:
    """The noise that a run's pictures begin with: the seed's stream continues from picture to picture."""

    def __init__(self, generator: str, seed: int, shape: tuple[int, ...], count: int = 1) -> None:
        self._generator, self._seed = generator, seed
        self._shape = shape
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Array]:
        """`count` arrays of the shape, drawn as they are asked for, in NCHW order, rounded to float32."""
        generator = GENERATORS[self._generator](self._seed)
        for _ in range(self._count):
            values = generator.normals(math.prod(self._shape))
            yield values.astype(np.float32).reshape(self._shape)


def random_seed() -> int:
    """A seed from the system's entropy, 0 to 2³² - 1."""
    return secrets.randbits(32)
