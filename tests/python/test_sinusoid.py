"""Features of timesteps and guidance scales against tests/data/sinusoid.safetensors (make_sinusoid.py)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tintype.sinusoid import MOST_GUIDANCE, WIDTH, guidance_features, timestep_features

Array = np.ndarray[Any, Any]


def test_timesteps_to_the_bit(golden: Callable[[str], dict[str, Array]]) -> None:
    case = golden("sinusoid")
    got = timestep_features(case["timesteps"])
    assert got.dtype == np.float32
    assert got.shape == (len(case["timesteps"]), WIDTH)
    np.testing.assert_array_equal(got.view(np.uint32), case["features"].view(np.uint32))
    half = got.astype(np.float16)
    np.testing.assert_array_equal(half.view(np.uint16), case["features_float16"].view(np.uint16))


def test_they_are_what_diffusers_computes(golden: Callable[[str], dict[str, Array]]) -> None:
    """But for the float32 of its exponential: three of 128 frequencies differ in their last bit."""
    case = golden("sinusoid")
    trained = case["timesteps"] <= 1000
    error = np.abs(timestep_features(case["timesteps"]) - case["diffusers"])[trained]
    assert error.max() <= 4e-5
    assert np.median(error) == 0


def test_guidance_is_embedded_times_1000() -> None:
    scales = np.array([3.5, 0], np.float32)
    np.testing.assert_array_equal(guidance_features(scales), timestep_features(1000 * scales))
    assert np.isfinite(guidance_features(np.array([MOST_GUIDANCE]))).all()
