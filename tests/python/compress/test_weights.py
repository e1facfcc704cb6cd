"""The maths: codes, scales and tables against NumPy written out, and against the optimum."""

import threading
from typing import Any

import numpy as np
import pytest

from tintype.compress import RECIPES, CompressedWeight
from tintype.compress import weights as module
from tintype.compress.integers import quantize
from tintype.compress.packing import pack
from tintype.compress.palette import palettize
from tintype.errors import ConversionError
from tintype.weight import ComputedWeight

Array = np.ndarray[Any, Any]


def normal(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def computed(value: Array) -> ComputedWeight:
    return ComputedWeight("w", value.shape, lambda: value)


def unpack(data: Array, bits: int, count: int) -> Array:
    """Codes out of packed bytes, bit by bit."""
    flat = np.unpackbits(data, bitorder="little")[: bits * count].reshape(count, bits)
    return (flat << np.arange(bits, dtype=np.uint8)).sum(1)


def test_four_bits_are_packed_low_first() -> None:
    # ML_PROGRAMS: u4 [0, 1, 2, 3, 4] is stored as 10 32 04.
    assert pack(np.arange(5, dtype=np.uint8), 4).tobytes().hex() == "103204"


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("count", [1, 3, 4, 7, 64])
def test_packed_codes_come_back(bits: int, count: int) -> None:
    codes = np.random.default_rng(1).integers(0, 1 << bits, count).astype(np.uint8)
    packed = pack(codes, bits)
    assert len(packed) == -(-count * bits // 8)
    np.testing.assert_array_equal(unpack(packed, bits, count), codes)


def test_int8_is_within_half_a_step() -> None:
    blocks = normal(7, 100) * np.float32([[1e-3], [1], [1e3], [1], [1], [1], [0]])
    codes, scale = quantize(blocks, 8, np.float32)
    assert codes.min() >= -127
    assert np.abs(codes * scale[:, None] - blocks).max(1).tolist() <= (0.501 * scale).tolist()
    assert scale[6] == 0


def test_int4_uses_all_sixteen_codes_and_beats_plain_rounding() -> None:
    blocks = normal(400, 32)
    codes, scale = quantize(blocks, 4, np.float16)
    assert (codes.min(), codes.max()) == (-8, 7)
    error = np.square(codes * scale.astype(np.float32)[:, None] - blocks).mean()
    plain = np.abs(blocks).max(1, keepdims=True) / 7
    assert error < 0.9 * np.square(np.rint(blocks / plain) * plain - blocks).mean()


@pytest.mark.parametrize(("bits", "distortion"), [(4, 0.009497), (6, 0.000673)])
def test_palettes_of_a_normal_distribution_are_near_the_optimum(bits: int, distortion: float) -> None:
    """Lloyd and Max's quantiser of a unit normal distribution has this mean squared error."""
    groups = normal(3, 60000)
    codes, table = palettize(groups, bits)
    assert np.all(np.diff(table, axis=1) > 0)
    error = np.square(np.take_along_axis(table, codes.astype(int), 1) - groups).mean()
    assert error < 1.04 * distortion


def test_palettes_of_few_values_are_exact() -> None:
    groups = np.random.default_rng(2).choice(np.float32([-3, -1, 0, 0.5, 8]), (2, 512))
    codes, table = palettize(groups, 4)
    np.testing.assert_allclose(np.take_along_axis(table, codes.astype(int), 1), groups, atol=6e-3)
    constant, table = palettize(np.full((1, 64), 0.25, np.float32), 4)
    assert np.unique(np.take_along_axis(table, constant.astype(int), 1)).tolist() == [0.25]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("shape", [(48, 64), (32, 64, 3, 3)])
def test_blocks_of_rows_give_what_the_whole_gives(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    value, recipe = normal(*shape), RECIPES[name]
    whole = CompressedWeight(computed(value), shape, recipe, np.float16)
    codes, table = whole.codes.make(), whole.table.make()
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 1)
    parts = CompressedWeight(computed(value), shape, recipe, np.float16)
    np.testing.assert_array_equal(parts.codes.make(), codes)
    np.testing.assert_array_equal(parts.table.make(), table)
    assert parts.error == pytest.approx(whole.error, rel=1e-4)
    assert whole.error is not None
    assert whole.error < {4: 0.15, 6: 0.05, 8: 0.02}[recipe.bits]
    assert codes.nbytes == value.size * recipe.bits // 8
    assert table.size == np.prod(whole.table_shape)


def test_both_tensors_come_from_one_pass_and_are_then_let_go() -> None:
    calls: list[int] = []
    value = normal(16, 64)

    def make() -> Array:
        calls.append(threading.get_ident())
        return value

    weight = CompressedWeight(
        ComputedWeight("w", value.shape, make), value.shape, RECIPES["int8"], np.float16
    )
    weight.codes.make(), weight.table.make()
    assert len(calls) == 1
    assert weight._parts is None


def test_rows_that_a_table_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match=r"w \(40, 64\) cannot be divided for palette4"):
        CompressedWeight(computed(normal(40, 64)), (40, 64), RECIPES["palette4"], np.float16)


def test_infinities_are_named() -> None:
    value = normal(16, 64)
    value[3, 5] = np.inf
    weight = CompressedWeight(computed(value), value.shape, RECIPES["int8"], np.float16)
    with pytest.raises(ConversionError, match="w holds infinities or NaN: download the checkpoint again"):
        weight.codes.make()


def test_a_weight_that_its_bits_cannot_hold_is_refused() -> None:
    """One value a thousand times as large as the rest of its channel leaves nothing of the rest."""
    value = normal(16, 4096)
    value[:, 0] = 1e-6
    value *= np.float32(1e-7)  # its scales vanish in float16
    weight = CompressedWeight(computed(value), value.shape, RECIPES["int8"], np.float16)
    with pytest.raises(ConversionError, match=r"w: stored as int8 it differs by \d+\.\d %"):
        weight.codes.make()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_value_that_no_scale_saves(recipe: str) -> None:
    """Codes times scales are float16 when the package runs, however well each of them fits."""
    value = normal(32, 64)
    value[3, 5] = -1e5
    message = r"w holds 100000, beyond 65504, the largest float16: convert with precision float32"
    with pytest.raises(ConversionError, match=message):
        _ = CompressedWeight(computed(value), value.shape, RECIPES[recipe], np.float16).codes.make()
