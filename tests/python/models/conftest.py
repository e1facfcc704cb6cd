"""Configs of the tiny pipeline, and a provider that has every tensor that a model asks for."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.layers import ComputedWeight


class AnyWeights:
    """Hands out random tensors of whatever shape is asked for, and remembers the keys."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[int, ...]] = {}

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        assert self.asked.setdefault(key, shape) == shape
        return ComputedWeight(key, shape, lambda: self.value(key))

    def value(self, key: str) -> Any:
        """The tensor `key`: float32, the same each time."""
        shape = self.asked[key]
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    def __contains__(self, key: object) -> bool:
        return True


@pytest.fixture
def weights() -> AnyWeights:
    """A fresh provider."""
    return AnyWeights()


@pytest.fixture
def config(data: Path) -> Callable[..., dict[str, Any]]:
    """config(component, **changes): sd3-medium-tiny's config.json with changes; None removes a key."""

    def read(component: str, **changes: Any) -> dict[str, Any]:
        rows = json.loads((data / "sd3-medium-tiny" / component / "config.json").read_text()) | changes
        return {k: v for k, v in rows.items() if k not in changes or v is not None}

    return read
