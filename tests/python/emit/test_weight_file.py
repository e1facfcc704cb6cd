"""weight.bin: byte for byte what coremltools writes, and the paths that lead there."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tintype.emit.weight_file import WeightLayout
from tintype.weight import ComputedWeight
from tintype.weights import SafetensorsFile

Array = np.ndarray[Any, Any]


def computed(name: str, value: Array) -> ComputedWeight:
    return ComputedWeight(name, value.shape, lambda: value)


@pytest.fixture
def tensors() -> dict[str, Array]:
    """Sizes around the alignment of 64 bytes, in the dtypes that packages hold."""
    rng = np.random.default_rng(0)
    return {
        "a": rng.standard_normal(32).astype(np.float16),  # 64 bytes: no gap after it
        "b": rng.standard_normal((3, 5)).astype(np.float16),
        "c": rng.standard_normal((7, 11)).astype(np.float32),
        "d": np.arange(10, dtype=np.int32),
        "e": rng.standard_normal(1).astype(np.float32),
    }


def test_same_bytes_as_coremltools(tmp_path: Path, tensors: dict[str, Array]) -> None:
    from coremltools.libmilstoragepython import _BlobStorageWriter

    writer = _BlobStorageWriter(str(tmp_path / "theirs.bin"))
    theirs = []
    for value in tensors.values():
        flat = value.reshape(-1)
        if value.dtype == np.float16:
            theirs.append(writer.write_fp16_data(flat.view(np.uint16)))
        elif value.dtype == np.float32:
            theirs.append(writer.write_float_data(flat))
        else:
            theirs.append(writer.write_int32_data(flat))
    del writer  # closes the file
    layout = WeightLayout()
    ours = [layout.add(computed(n, v), v.dtype.name) for n, v in tensors.items()]
    written = layout.write(tmp_path / "ours.bin")
    assert ours == theirs
    data = (tmp_path / "ours.bin").read_bytes()
    assert data == (tmp_path / "theirs.bin").read_bytes()
    assert (written.size, layout.size) == (len(data), len(data))
    assert written.sha256 == hashlib.sha256(data).hexdigest()


def test_layout_of_one_blob(tmp_path: Path) -> None:
    layout = WeightLayout()
    assert layout.add(computed("w", np.array([1, 2], np.float16)), "float16") == 64
    layout.write(tmp_path / "w.bin")
    data = (tmp_path / "w.bin").read_bytes()
    assert data[:8] == bytes.fromhex("01000000 02000000")  # one blob, version 2
    assert data[64:96] == struct.pack(
        "<IIQQQ", 0xDEADBEEF, 1, 4, 128, 0
    )  # float16, 4 bytes at 128, no padding
    assert data[128:] == bytes.fromhex("003c0040")  # 1.0, 2.0; nothing after them


def test_stored_weights_are_written_as_computed_ones(tmp_path: Path, tensors: dict[str, Array]) -> None:
    save_file(tensors, tmp_path / "m.safetensors")
    stored = SafetensorsFile(tmp_path / "m.safetensors").tensors
    layout, plain = WeightLayout(), WeightLayout()
    for name in ("a", "b", "c", "e"):
        layout.add(stored[name], tensors[name].dtype.name)
        plain.add(computed(name, tensors[name]), tensors[name].dtype.name)
    assert layout.write(tmp_path / "stored.bin") == plain.write(tmp_path / "plain.bin")
    assert (tmp_path / "stored.bin").read_bytes() == (tmp_path / "plain.bin").read_bytes()


def test_progress_ends_at_the_size(tmp_path: Path, tensors: dict[str, Array]) -> None:
    layout, heard = WeightLayout(), list[int]()
    for name, value in tensors.items():
        layout.add(computed(name, value), value.dtype.name)
    layout.write(tmp_path / "w.bin", heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == layout.size


def test_a_weight_that_gives_too_little_is_noticed(tmp_path: Path) -> None:
    class Short(ComputedWeight):
        def chunks(self, dtype: Any) -> Any:
            yield np.zeros(3, dtype)

    layout = WeightLayout()
    layout.add(Short("w", (4,), lambda: np.zeros(4)), "float32")
    with pytest.raises(ValueError, match="w gave 12 bytes, expected 16"):
        layout.write(tmp_path / "w.bin")
