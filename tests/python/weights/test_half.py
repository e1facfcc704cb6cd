"""Conversions between float16 and float32: to the bit NumPy's."""

from typing import Any

import numpy as np
import pytest

from tintype.weights import half

Array = np.ndarray[Any, Any]

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def bits(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


@pytest.fixture(autouse=True, params=[1 << 17, 1000])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "PIECE", request.param)


def test_every_float16() -> None:
    wide = half.to_float32(EVERY)
    np.testing.assert_array_equal(bits(wide), bits(EVERY.astype(np.float32)))
    np.testing.assert_array_equal(bits(half.to_float16(wide)), bits(wide.astype(np.float16)))
    np.testing.assert_array_equal(half.to_float32(EVERY.reshape(256, 256).T), EVERY.reshape(256, 256).T)


def test_every_bfloat16() -> None:
    codes = np.arange(1 << 16, dtype=np.uint32)
    fitting = codes[(codes & 0x7FFF) < 0x4780].astype(np.uint16)  # below 65536
    expected = (fitting.astype(np.uint32) << 16).view(np.float32).astype(np.float16)
    for values in (fitting, fitting[::-1]):
        order = slice(None) if values is fitting else slice(None, None, -1)
        np.testing.assert_array_equal(bits(half.bfloat16_to_float16(values)), bits(expected[order]))
    mostly_normal = np.where(np.arange(fitting.size) % 7 == 0, fitting, np.uint16(0x3F80))
    wide = (mostly_normal.astype(np.uint32) << 16).view(np.float32)
    found = half.bfloat16_to_float16(mostly_normal.reshape(2, -1))
    np.testing.assert_array_equal(bits(found.reshape(-1)), bits(wide.astype(np.float16)))
    assert half.bfloat16_to_float16(np.zeros((3, 0), np.uint16)).shape == (3, 0)


@pytest.mark.parametrize("code", [0x4780, 0xC780, 0x7F80, 0xFF80, 0x7FC0])
def test_bfloat16_that_float16_cannot_hold(code: int) -> None:
    with pytest.raises(FloatingPointError):
        half.bfloat16_to_float16(np.array([0x3F80, code], np.uint16))


def test_between_two_float16() -> None:
    """Ties go to the even one; the numbers beside them to the nearer one."""
    finite = np.sort(EVERY[np.isfinite(EVERY) & (EVERY >= 0)].astype(np.float32))
    ties = (finite[1:] + finite[:-1]) / 2
    for values in (ties, -ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(7e4))):
        np.testing.assert_array_equal(bits(half.to_float16(values)), bits(values.astype(np.float16)))


def test_any_float32() -> None:
    drawn = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, np.uint64).astype(np.uint32)
    values = drawn.view(np.float32)
    values = values[~(np.abs(values) >= 65520) | np.isinf(values)]
    assert np.isnan(values).any()
    np.testing.assert_array_equal(half.to_float16(values), values.astype(np.float16))
    weights = np.random.default_rng(1).standard_normal((513, 700)).astype(np.float32) / 40
    np.testing.assert_array_equal(bits(half.to_float16(weights)), bits(weights.astype(np.float16)))
    assert half.to_float16(np.zeros((3, 0), np.float32)).shape == (3, 0)


@pytest.mark.parametrize("value", [65520, -65520, 1e6, -3e38])
def test_numbers_that_become_infinite(value: float) -> None:
    values = np.array([1, value, 2], np.float32)
    with pytest.raises(FloatingPointError):
        half.converted(values, np.float16)
    with pytest.raises(FloatingPointError):
        half.converted(values.astype(np.float64), np.float16)


def test_what_needs_no_conversion() -> None:
    values = np.ones(3, np.float32)
    assert half.converted(values, np.float32) is values
    assert half.converted(np.ones(3, np.int32), np.float16).dtype == np.float16
