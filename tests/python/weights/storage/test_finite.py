"""Every value that is not finite is found, wherever it stands, and no other is taken for one."""

from typing import Any

import numpy as np
import pytest

from tintype.weights.storage.finite import PIECE, all_finite


@pytest.mark.parametrize(
    ("dtype", "bits", "infinity"), [(np.float16, np.uint16, 0x7C00), (np.float32, np.uint32, 0x7F800000)]
)
def test_infinities_and_nan_are_found(dtype: Any, bits: Any, infinity: int) -> None:
    sign = 1 << (8 * np.dtype(dtype).itemsize - 1)
    largest = np.array([infinity - 1, sign | (infinity - 1), 0, sign, 1, sign | 1], bits).view(dtype)
    values = np.resize(largest, 2 * PIECE + 5)
    assert all_finite(values)
    assert all_finite(values[:0])
    for place in (0, PIECE - 1, PIECE, values.size - 1):
        for wrong in (infinity, sign | infinity, infinity + 1, sign | (infinity + 1), sign - 1, 2 * sign - 1):
            damaged = values.copy()
            damaged.view(bits)[place] = wrong
            assert not np.isfinite(damaged[place])
            assert not all_finite(damaged)
