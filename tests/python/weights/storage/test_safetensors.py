"""Lazy safetensors reading: values, conversions, and files that are not right."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tintype.errors import CheckpointError, ConversionError
from tintype.weights import SafetensorsFile


def raw_file(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """A file of u64 header length, header (JSON unless bytes), data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def test_reads_what_safetensors_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.standard_normal((3, 5)).astype(np.float32),
        "b.half": rng.standard_normal(7).astype(np.float16),
        "scalar": np.array(2.5, np.float32),
    }
    save_file(tensors, tmp_path / "m.safetensors", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "m.safetensors")
    assert set(file.tensors) == set(tensors)
    for name, expected in tensors.items():
        tensor = file.tensors[name]
        assert tensor.shape == expected.shape
        for dtype in (np.float16, np.float32):
            np.testing.assert_array_equal(tensor.array(dtype), expected.astype(dtype))


def test_bfloat16_is_converted_exactly(tmp_path: Path) -> None:
    # bits of 1.0, -2.5, 0.0078125, 3.0e-39 (subnormal), 65280 (the largest below float16's limit)
    bits = np.array([0x3F80, 0xC020, 0x3C00, 0x0020, 0x477F], np.uint16)
    header = {"w": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}
    tensor = SafetensorsFile(raw_file(tmp_path / "m.safetensors", header, bits.tobytes())).tensors["w"]
    wide = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(tensor.array(np.float32), wide)
    np.testing.assert_array_equal(tensor.array(np.float16), wide.astype(np.float16))


def test_chunks_are_the_whole_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tintype.weights.storage.safetensors.CHUNK_ELEMENTS", 4)
    save_file({"w": np.arange(10, dtype=np.float32)}, tmp_path / "m.safetensors")
    tensor = SafetensorsFile(tmp_path / "m.safetensors").tensors["w"]
    pieces = list(tensor.chunks(np.float16))
    assert [p.size for p in pieces] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(10))
    np.testing.assert_array_equal(tensor.elements(3, 6, np.float32), [3, 4, 5])


def test_bytes_that_are_right_already_are_not_copied(tmp_path: Path) -> None:
    value = np.arange(5, dtype=np.float16)
    save_file({"w": value}, tmp_path / "m.safetensors")
    tensor = SafetensorsFile(tmp_path / "m.safetensors").tensors["w"]
    piece = tensor.elements(1, 4, np.float16)
    np.testing.assert_array_equal(piece, value[1:4])
    assert np.shares_memory(piece, tensor.file.data)


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_value_beyond_float16_names_tensor_and_remedy(tmp_path: Path, dtype: str) -> None:
    value = np.array([1e6], np.float32)
    data = value.tobytes() if dtype == "F32" else value.tobytes()[2:]
    header = {"big": {"dtype": dtype, "shape": [1], "data_offsets": [0, len(data)]}}
    tensor = SafetensorsFile(raw_file(tmp_path / "m.safetensors", header, data)).tensors["big"]
    with pytest.raises(ConversionError, match=r"big holds a value beyond 65504.*precision float32"):
        tensor.array(np.float16)
    assert tensor.array(np.float32)[0] == pytest.approx(1e6, rel=0.01)


NUMBERS = {"F16": np.float16, "F32": np.float32, "BF16": np.float32}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -np.nan])
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("wanted", [np.float16, np.float32])
def test_infinities_and_nan_name_file_tensor_and_place(
    tmp_path: Path, dtype: str, wanted: type, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tintype.weights.storage.safetensors.CHUNK_ELEMENTS", 4)
    value = np.arange(10, dtype=NUMBERS[dtype]).reshape(5, 2)
    value[3, 1] = value[4, 0] = wrong
    high = value.view(np.uint16).reshape(5, 2, -1)[..., -1]  # of float32: bfloat16's bits
    data = high.tobytes() if dtype == "BF16" else value.tobytes()
    header = {"w": {"dtype": dtype, "shape": [5, 2], "data_offsets": [0, len(data)]}}
    tensor = SafetensorsFile(raw_file(tmp_path / "m.safetensors", header, data)).tensors["w"]
    text = rf"m\.safetensors: w holds 2 infinities or NaN in 10 values, the first \({wrong}\) at \[3, 1\]: .*download"
    pieces = tensor.chunks(wanted)
    np.testing.assert_array_equal(next(pieces), [0, 1, 2, 3])
    with pytest.raises(CheckpointError, match=text):
        list(pieces)
    with pytest.raises(CheckpointError, match=text):
        tensor.array(wanted)


def test_other_dtypes_are_listed_but_not_read_as_weights(tmp_path: Path) -> None:
    header = {"ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}
    tensor = SafetensorsFile(raw_file(tmp_path / "m.safetensors", header, bytes(8))).tensors["ids"]
    with pytest.raises(CheckpointError, match="ids has dtype I64"):
        tensor.array(np.float32)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = [
    ("short", b"\x01\x02", "holds 2 bytes, too few"),
    ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
    # u64 header length 2^60, far beyond the file
    ("huge header", struct.pack("<Q", 1 << 60) + b"{}", "announces a header of 1152921504606846976 bytes"),
    ("not json", (3, b"{,}", b""), "the header is not JSON"),
    ("not an object", (None, [1], b""), "not a JSON object"),
    ("no dtype", (None, {"w": {**ENTRY, "dtype": "F99"}}, bytes(8)), "w the unknown dtype 'F99'"),
    (
        "dtype is a list",
        (None, {"w": {**ENTRY, "dtype": ["F32"]}}, bytes(8)),
        r"w the unknown dtype \['F32'\]",
    ),
    ("entry is a list", (None, {"w": []}, b""), "w the unknown dtype None"),
    ("negative shape", (None, {"w": {**ENTRY, "shape": [-2]}}, bytes(8)), r"w the shape \[-2\]"),
    ("offsets", (None, {"w": {**ENTRY, "data_offsets": [0]}}, bytes(8)), r"w the offsets \[0\]"),
    ("size", (None, {"w": {**ENTRY, "shape": [3]}}, bytes(8)), r"w 8 bytes, but F32 \[3\] needs 12"),
    ("overflow", (None, {"w": {**ENTRY, "shape": [1 << 62, 4]}}, bytes(8)), "needs 73786976294838206464"),
    (
        "digits",
        (None, {"w": {**ENTRY, "shape": [10**4000, 10**4000]}}, bytes(8)),
        "needs an integer of thousands of digits",
    ),
    ("long integer", (5008, b'{"w": 1' + b"0" * 5000 + b"}", b""), r"not JSON \(it holds an integer of thou"),
    ("truncated", (None, {"w": ENTRY}, bytes(4)), "is truncated: w ends at byte"),
]


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in DAMAGED], ids=[r[0] for r in DAMAGED])
def test_damaged_files_name_the_problem(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "m.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        length, header, data = content  # type: ignore[misc]
        raw_file(path, header, data, length)
    with pytest.raises(CheckpointError, match=message):
        SafetensorsFile(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        SafetensorsFile(tmp_path / "none.safetensors")


def test_another_kind_of_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    file = tmp_path / "lora.json"
    file.write_text('{"lora": "config"}')
    with pytest.raises(
        CheckpointError, match=r"lora\.json is no safetensors file: name one, or save it as one"
    ):
        SafetensorsFile(file)
