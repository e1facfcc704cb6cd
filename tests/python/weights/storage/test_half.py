"""Conversions between float16 and float32: to the bit NumPy's, by the processor's own or without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype import _bridge
from tintype.weights.storage import half

Array = np.ndarray[Any, Any]

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)

#: The conversions of `_bridge`, with what they take and give.
HARDWARE = {
    "half_to_float": (np.float16, np.float32),
    "float_to_half": (np.float32, np.float16),
    "bfloat_to_half": (np.uint16, np.float16),
}


def bits(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


@pytest.fixture(autouse=True, params=["as found", "without"])
def hardware(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs by what the processor has, and as on a processor, or with a `_bridge`, that has none."""
    if request.param == "without":
        for name in HARDWARE:
            monkeypatch.delattr(_bridge, name, raising=False)


def test_every_float16() -> None:
    wide = half.converted(EVERY, np.float32)
    np.testing.assert_array_equal(bits(wide), bits(EVERY.astype(np.float32)))
    np.testing.assert_array_equal(bits(half.converted(wide, np.float16)), bits(wide.astype(np.float16)))
    np.testing.assert_array_equal(
        half.converted(EVERY.reshape(256, 256).T, np.float32), EVERY.reshape(256, 256).T
    )


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
        np.testing.assert_array_equal(
            bits(half.converted(values, np.float16)), bits(values.astype(np.float16))
        )


def test_any_float32() -> None:
    drawn = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, np.uint64).astype(np.uint32)
    values = drawn.view(np.float32)
    values = values[~(np.abs(values) >= 65520) | np.isinf(values)]
    assert np.isnan(values).any()
    np.testing.assert_array_equal(half.converted(values, np.float16), values.astype(np.float16))
    weights = np.random.default_rng(1).standard_normal((513, 700)).astype(np.float32) / 40
    np.testing.assert_array_equal(bits(half.converted(weights, np.float16)), bits(weights.astype(np.float16)))
    assert half.converted(np.zeros((3, 0), np.float32), np.float16).shape == (3, 0)


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


@pytest.mark.parametrize("hardware", ["as found"], indirect=True)
class TestHardware:
    def test_present_where_the_processor_converts(self) -> None:
        cpuinfo = Path("/proc/cpuinfo")
        flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
        if not flags >= {"f16c", "avx2"}:
            pytest.skip("Linux does not name f16c and avx2 among this processor's features")
        assert all(hasattr(_bridge, name) for name in HARDWARE)

    @pytest.mark.parametrize("name", HARDWARE)
    def test_writes_no_further_than_the_array(self, name: str) -> None:
        convert, (source, result) = self.found(name), HARDWARE[name]
        for count in range(34):
            values = np.full(count, 0x3FC0 if source is np.uint16 else 1.5).astype(source)
            memory = np.full(count + 16, 7, result)
            assert convert(values, memory[:count])
            np.testing.assert_array_equal(memory, [1.5] * count + [7] * 16)

    @pytest.mark.parametrize("name", HARDWARE)
    def test_tells_what_is_not_finite(self, name: str) -> None:
        convert, (source, result) = self.found(name), HARDWARE[name]
        for value in (np.inf, -np.inf, np.nan):
            for place in (3, 17):
                values = np.ones(18, np.float32)
                values[place] = value
                taken = (values.view(np.uint32) >> 16 if source is np.uint16 else values).astype(source)
                assert not convert(taken, np.empty(18, result))

    @pytest.mark.parametrize("name", HARDWARE)
    def test_refuses_other_arrays(self, name: str) -> None:
        convert, (source, result) = self.found(name), HARDWARE[name]
        values, out = np.ones(8, source), np.empty(8, result)
        with pytest.raises(ValueError, match="different lengths"):
            convert(values, out[:4])
        for bad in (values.astype(np.float64), values.reshape(2, 4), np.ones(16, source)[::2]):
            with pytest.raises(ValueError, match="flat array of"):
                convert(bad, out)
        out.flags.writeable = False
        with pytest.raises((ValueError, BufferError)):
            convert(values, out)

    @staticmethod
    def found(name: str) -> Any:
        return getattr(_bridge, name, None) or pytest.skip("this processor has no conversions of float16")
