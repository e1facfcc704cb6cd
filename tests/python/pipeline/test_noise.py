"""The generators against draws that NumPy and PyTorch made (tests/data/random.json) and Philox's published answers."""

import json
import pathlib
from fractions import Fraction

import numpy as np
import pytest

from tintype.pipeline.noise import GENERATORS, MAX_SEED, NoiseStream, PhiloxRandom, philox, random_seed
from tintype.pipeline.torch_noise import _fused


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_recorded_draws(data: pathlib.Path, name: str) -> None:
    rows = [r for r in json.loads((data / "random.json").read_text()) if r["generator"] == name]
    assert len(rows) == 54
    for row in rows:
        random = GENERATORS[name](row["seed"])
        for draw in row["draws"]:
            values = random.normals(draw["size"]).astype(np.float32)
            assert values[:8].tolist() == draw["first"]
            assert values[-8:].tolist() == draw["last"]
            # Added in the recording's order: a single wrong bit in a value changes it.
            assert float(values.astype(np.float64).sum()) == draw["sum"]


def test_philox_is_the_published_one(data: pathlib.Path) -> None:
    recorded = json.loads((data / "philox.json").read_text())
    assert len(recorded["blocks"]) == 67
    for counter, key, words in recorded["blocks"]:
        column = np.array(counter, dtype=np.uint64)[:, np.newaxis]
        assert philox(column, tuple(key))[:, 0].tolist() == words
    assert len(recorded["normals"]) == 10
    for row in recorded["normals"]:
        random = PhiloxRandom(row["seed"])
        for _ in range(row["draw"]):
            random.normals(64)
        np.testing.assert_allclose(random.normals(64), row["values"], rtol=0, atol=1e-14)


def test_philox_draws_what_cuda_draws(data: pathlib.Path) -> None:
    printed = json.loads((data / "philox.json").read_text())["printed"]
    np.testing.assert_allclose(PhiloxRandom(0).normals(64), printed, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_stream_continues(name: str) -> None:
    stream = NoiseStream(name, 5, (1, 2, 8, 16), count=2)
    first, second = stream
    assert first.dtype == np.float32
    assert first.shape == (1, 2, 8, 16)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal([first, second], list(stream))
    np.testing.assert_array_equal([first], list(NoiseStream(name, 5, (1, 2, 8, 16))))


@pytest.mark.parametrize("name", GENERATORS)
def test_no_draws_change_nothing(name: str) -> None:
    one, other = GENERATORS[name](3), GENERATORS[name](3)
    assert one.normals(0).size == 0
    np.testing.assert_array_equal(one.normals(3), other.normals(3))


def test_products_are_fused_into_sums() -> None:
    """Against exact arithmetic, also where float64's own rounding lands in the middle of two float32 numbers."""
    random = np.random.RandomState(0)
    a, b, c = (random.standard_normal(2000).astype(np.float32) for _ in range(3))
    # 4097² = 2²⁴ + 2¹³ + 1 is half way between two float32 numbers; what float64 drops of the sum decides.
    drops = np.array([2**-40, 0, -(2**-40)], dtype=np.float32)
    a, b = np.append(a, [4097] * 3).astype(np.float32), np.append(b, [4097] * 3).astype(np.float32)
    c = np.append(c, drops)
    got = _fused(a, b, c)
    for x, y, z, value in zip(a, b, c, got, strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        off = abs(Fraction(float(value)) - exact)
        for neighbour in (np.nextafter(value, np.float32(-np.inf)), np.nextafter(value, np.float32(np.inf))):
            assert off <= abs(Fraction(float(neighbour)) - exact)
    assert got[-3] > got[-1]


def test_demo_golden_noise(golden) -> None:
    initial = golden("demo-model-golden/generate")["initial_latent"]
    np.testing.assert_array_equal(next(iter(NoiseStream("numpy", 7, (1, 8, 16, 16)))), initial)


def test_random_seeds_differ_and_fit() -> None:
    seeds = {random_seed() for _ in range(16)}
    assert len(seeds) == 16
    assert all(0 <= seed <= MAX_SEED for seed in seeds)
