"""Runtimes on the library without models (fake_runtime.c)."""

import ctypes
import pathlib

import pytest

from tintype.run.runtimes import Library, Runtimes


@pytest.fixture
def counters(fake_library: pathlib.Path) -> ctypes.CDLL:
    """The library's counters, by name: `counter(counters, "fake_live_results")`."""
    return ctypes.CDLL(str(fake_library))


@pytest.fixture
def runtimes(fake_library: pathlib.Path) -> Runtimes:
    """An Apple Core ML that fails as a model's path asks, and an MLX that runs everything."""
    return Runtimes(
        {
            "mlx": Library(fake_library, "fake_mlx_api"),
            "coreml": Library(fake_library, "fake_coreml_api"),
        },
        apple=True,
    )
