"""The noise against NumPy's recorded legacy draws (tests/data/random.json)."""

import json
import pathlib

import numpy as np

from tintype.pipeline.noise import MAX_SEED, numpy_noise, random_seed


def test_recorded_draws(data: pathlib.Path) -> None:
    rows = [r for r in json.loads((data / "random.json").read_text()) if r["generator"] == "numpy"]
    assert rows
    for row in rows:
        draw = row["draws"][0]
        noise = numpy_noise(row["seed"], (draw["size"],))
        assert noise.dtype == np.float32
        assert noise[:8].tolist() == draw["first"]
        assert noise[-8:].tolist() == draw["last"]


def test_demo_golden_noise(golden) -> None:
    initial = golden("demo-model-golden/generate")["initial_latent"]
    np.testing.assert_array_equal(numpy_noise(7, (1, 8, 16, 16)), initial)


def test_random_seeds_differ_and_fit() -> None:
    seeds = {random_seed() for _ in range(16)}
    assert len(seeds) == 16
    assert all(0 <= seed <= MAX_SEED for seed in seeds)
