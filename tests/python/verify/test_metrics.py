"""PSNR and cosine against numbers worked out by hand."""

import numpy as np
import pytest

from tintype.verify.metrics import MAX_PSNR, Agreement, agreement, worst


def test_one_part_in_a_hundred_is_forty_decibels() -> None:
    reference = np.float32([3, -4, 0, 0])
    value = agreement([(reference + np.float32([0.04, 0.04, -0.04, 0.04]), reference)])
    assert value.psnr == pytest.approx(40, abs=1e-4)
    assert value.cosine == pytest.approx(24.96 / (5 * np.sqrt(3.04**2 + 3.96**2 + 2 * 0.04**2)), abs=1e-6)


def test_pairs_are_one_array() -> None:
    x, y = np.random.default_rng(1).standard_normal((2, 6, 5))
    parts = agreement([(x[:2], y[:2]), (x[2:], y[2:])])
    whole = agreement([(x, y)])
    assert parts.psnr == pytest.approx(whole.psnr)
    assert parts.cosine == pytest.approx(whole.cosine)


def test_the_ends() -> None:
    x = np.ones(4, np.float32)
    assert agreement([(x, x)]) == Agreement(MAX_PSNR, 1.0)
    assert agreement([(x * np.nan, x)]) == Agreement(0.0, 0.0)
    assert agreement([(x, x * 0)]).cosine == 0
    assert worst([Agreement(40, 0.9), Agreement(30, 0.99)]) == Agreement(30, 0.9)
