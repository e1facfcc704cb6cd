"""A weight with LoRAs, read in parts. What whole conversions give is in test_lora.py."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tintype.weights import SafetensorsFile
from tintype.weights.lora.merge import LowRank, MergedWeight
from tintype.weights.storage.view import TensorView


@pytest.mark.parametrize(
    ("rank", "columns", "tiles"), [(4, 700, 1), (64, 1536, 8), (256, 96, 2), (300, 77, 1)]
)
def test_products_are_cut_until_blas_stays_in_its_thread(
    tmp_path: Path, rank: int, columns: int, tiles: int
) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((rank, columns), (37, rank)))
    save_file({"a": a, "b": b}, tmp_path / "f.safetensors")
    tensors = SafetensorsFile(tmp_path / "f.safetensors").tensors
    term = LowRank(tensors["a"], TensorView.rows("b", tensors["b"], ((0, 37),)), -0.5)
    cut = term.tiles()
    assert cut.shape == (tiles, rank, columns // tiles)
    expected = -0.5 * b.astype(np.float64) @ a.astype(np.float64)
    whole = term.rows(0, 37, cut, np.empty(37 * columns, np.float32))
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-4)
    part = term.rows(16, 37, cut, np.empty(40 * columns, np.float32))
    np.testing.assert_array_equal(part, whole[16:])


def test_parts_of_a_merged_weight(tmp_path: Path) -> None:
    """Whatever part is asked for, its bytes are those of any larger part."""
    rng = np.random.default_rng(0)
    rows, columns = 4003, 700  # several blocks, the last with a few rows more than whole products
    save_file(
        {
            "w": rng.standard_normal((rows, columns)).astype(np.float32),
            "a": rng.standard_normal((8, columns)).astype(np.float32),
            "b": rng.standard_normal((rows, 8)).astype(np.float16),
        },
        tmp_path / "f.safetensors",
    )
    tensors = SafetensorsFile(tmp_path / "f.safetensors").tensors
    term = LowRank(tensors["a"], TensorView.rows("b", tensors["b"], ((0, rows),)), 0.25)
    weight = MergedWeight(tensors["w"], (term,))
    whole = weight.array(np.float32)
    w, a, b = (tensors[k].array(np.float32).astype(np.float64) for k in "wab")
    np.testing.assert_allclose(whole, w + 0.25 * b @ a, rtol=1e-5, atol=2e-6)
    flat = whole.reshape(-1)
    for begin, end in ((0, 1), (261_000, 263_000), (699_999, 1_050_001), (5, 5)):
        part = weight.elements(begin, end, np.float32)
        np.testing.assert_array_equal(part, flat[begin:end])
    np.testing.assert_array_equal(np.concatenate(list(weight.chunks(np.float16))), flat.astype(np.float16))
    assert (weight.name, weight.shape) == ("w", (rows, columns))
