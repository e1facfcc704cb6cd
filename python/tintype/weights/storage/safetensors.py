"""Reading safetensors files lazily: a checked header, and tensors as views of a memory map.

File layout: u64 little-endian header length n; n bytes of JSON, name → {dtype, shape, data_offsets [begin,
end)} relative to byte 8 + n; then the data. Everything is checked against the file's size before it is used.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import CheckpointError, ConversionError
from ...values import decode_json, is_count, shown
from ...weight import Array
from .finite import all_finite
from .half import bfloat16_to_float16, by_hardware, converted

__all__ = ["SafetensorsFile", "StoredWeight", "narrowed"]

#: Bytes of one element by the format's dtype name.
ITEM_SIZES: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip

#: The dtypes that weights may have; those that NumPy does not know are read as their bits.
NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F32": np.dtype("<f4"),
    "F8_E4M3": np.dtype("u1"),
    "F8_E5M2": np.dtype("u1"),
}

#: Those that the processor may convert.
FLOATS: Mapping[str, str] = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}

#: How a pointer of Git LFS begins, which lies in the place of a file that was not loaded.
LFS_POINTER = "version https://git-lfs"

MAX_HEADER_BYTES = 100_000_000
CHUNK_ELEMENTS = 1 << 20
REMEDY = "download the file again"


@dataclass(frozen=True)
class StoredWeight:
    """A tensor in a memory-mapped file; implements `tintype.layers.Weight`."""

    name: str
    shape: tuple[int, ...]
    stored: str
    offset: int
    file: "SafetensorsFile"

    @property
    def count(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.count * ITEM_SIZES[self.stored]

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        return self.elements(0, self.count, dtype).reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) as `dtype`, flat; a view of the file where the bytes are right already.

        CheckpointError when a float that is read is infinite or NaN, ConversionError when one is too large
        for float16.
        """
        piece = self._raw()[begin:end]
        found = by_hardware(piece, FLOATS.get(self.stored, ""), dtype)
        if found is not None:
            return found
        try:
            found = self._convert(piece, np.dtype(dtype))
        except ConversionError:
            self._check_finite()  # half does not tell infinities of bfloat16 from what is too large
            raise
        if found.dtype.kind == "f" and not all_finite(found):
            self._check_finite()
        return found

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """`elements` from first to last, in pieces of bounded size."""
        for begin in range(0, self.count, CHUNK_ELEMENTS):
            yield self.elements(begin, begin + CHUNK_ELEMENTS, dtype)

    def stored_bytes(self, begin: int, end: int) -> Array:
        """The bytes of the elements [begin, end), whatever their dtype; a view of the file."""
        size = ITEM_SIZES[self.stored]
        return self.file.data[self.offset + begin * size : self.offset + min(end, self.count) * size]

    def _raw(self) -> Array:
        if self.stored not in NUMPY_DTYPES:
            raise CheckpointError(
                f"{self.file.path}: {self.name} has dtype {self.stored}, expected one of "
                f"{', '.join(NUMPY_DTYPES)}: use a checkpoint in float32, float16 or bfloat16"
            )
        return self.stored_bytes(0, self.count).view(NUMPY_DTYPES[self.stored])

    def _check_finite(self) -> None:
        """CheckpointError with the number and the first place of values that are infinite or NaN."""
        count, first = 0, (0, 0.0)
        for begin in range(0, self.count, CHUNK_ELEMENTS):
            values = self._convert(self._raw()[begin : begin + CHUNK_ELEMENTS], np.dtype(np.float32))
            places = np.flatnonzero(~np.isfinite(values))
            if places.size and not count:
                first = (begin + int(places[0]), float(values[places[0]]))
            count += places.size
        if count:
            place = [int(i) for i in np.unravel_index(first[0], self.shape)]
            raise CheckpointError(
                f"{self.file.path}: {self.name} holds {count} infinities or NaN in {self.count} values, "
                f"the first ({first[1]}) at {place}: the file is damaged, download it again"
            )

    def _convert(self, piece: Array, dtype: np.dtype[Any]) -> Array:
        if self.stored == "BF16":
            if dtype == np.float16:
                return _fitting(partial(bfloat16_to_float16, piece), f"{self.file.path}: {self.name}")
            return (piece.astype(np.uint32) << 16).view(np.float32).astype(dtype, copy=False)
        if self.stored in FLOAT8_TABLES:
            return FLOAT8_TABLES[self.stored]().astype(dtype)[piece]
        return narrowed(piece, dtype, f"{self.file.path}: {self.name}")


def narrowed(values: Array, dtype: npt.DTypeLike, name: str) -> Array:
    """`values` as `dtype`; ConversionError, naming `name`, where one is too large for float16."""
    return _fitting(partial(converted, values, dtype), name)


def _fitting(convert: Callable[[], Array], name: str) -> Array:
    try:
        return convert()
    except FloatingPointError as error:
        raise ConversionError(
            f"{name} holds a value beyond 65504, the largest float16: convert with precision float32"
        ) from error


@cache
def _float8_e5m2_table() -> Array:
    """float16 of every float8_e5m2, which is a float16 without its lower byte."""
    return (np.arange(256, dtype=np.uint16) << 8).view(np.float16)


@cache
def _float8_e4m3_table() -> Array:
    """float16 of every float8_e4m3fn: bias 7, no infinities, NaN where all lower bits are set (Micikevicius
    et al., "FP8 formats for deep learning", arXiv:2209.05433, table 1)."""
    bits = np.arange(256)
    exponent, mantissa = bits >> 3 & 15, bits & 7
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))
    size[(bits & 127) == 127] = np.nan
    return np.where(bits < 128, size, -size).astype(np.float16)


#: dtype → a function that gives the float16 of each of its 256 values, which is exact.
FLOAT8_TABLES: Mapping[str, Callable[[], Array]] = {
    "F8_E4M3": _float8_e4m3_table,
    "F8_E5M2": _float8_e5m2_table,
}


class SafetensorsFile:
    """One safetensors file: `tensors` by key, in the file's order, and `metadata`; CheckpointError if it is
    damaged."""

    def __init__(self, path: "str | Path") -> None:
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            if size < 8:
                raise CheckpointError(
                    f"{self.path} holds {size} bytes, too few for a safetensors file: {REMEDY}"
                )
            self.data = np.memmap(self.path, np.uint8, "r")
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be read ({error.strerror}): check the path") from error
        header, self._begin = self._header(size)
        metadata = header.get("__metadata__")
        self.metadata: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
        self.tensors: dict[str, StoredWeight] = {}
        for name, entry in header.items():
            if name != "__metadata__":
                self.tensors[name] = self._tensor(name, entry, size)

    def _header(self, size: int) -> tuple[dict[str, Any], int]:
        if bytes(self.data[: len(LFS_POINTER)]) == LFS_POINTER.encode():
            self._fail("is a Git LFS pointer, not the weights", "run `git lfs pull`, or download the file")
        (length,) = struct.unpack("<Q", bytes(self.data[:8]))
        if length > min(size - 8, MAX_HEADER_BYTES) and self.path.suffix != ".safetensors":
            self._fail("is no safetensors file", "name one, or save it as one")
        if length > min(size - 8, MAX_HEADER_BYTES):
            self._fail(f"announces a header of {length} bytes, but holds {size} bytes in all", REMEDY)
        try:
            header = decode_json(bytes(self.data[8 : 8 + length]))
        except ValueError as error:
            raise CheckpointError(f"{self.path}: the header is not JSON ({error}): {REMEDY}") from error
        if not isinstance(header, dict):
            self._fail("has a header that is not a JSON object", REMEDY)
        return header, 8 + length

    def _tensor(self, name: str, entry: Any, size: int) -> StoredWeight:
        fields = entry if isinstance(entry, dict) else {}
        dtype: Any = fields.get("dtype")
        shape: Any = fields.get("shape")
        offsets: Any = fields.get("data_offsets")
        if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
            self._fail(f"gives {name} the unknown dtype {shown(dtype)}", REMEDY)
        if not _counts(shape):
            self._fail(f"gives {name} the shape {shown(shape)}", REMEDY)
        if not _counts(offsets) or len(offsets) != 2:
            self._fail(f"gives {name} the offsets {shown(offsets)}", REMEDY)
        begin, end = offsets
        elements = 1
        for n in shape:  # Python integers: no overflow, whatever the header says
            elements *= n
        if end - begin != elements * ITEM_SIZES[dtype]:
            self._fail(
                f"gives {name} {shown(end - begin)} bytes, but {dtype} {shown(shape)} needs "
                f"{shown(elements * ITEM_SIZES[dtype])}",
                REMEDY,
            )
        if self._begin + end > size:
            self._fail(
                f"is truncated: {name} ends at byte {shown(self._begin + end)}, but the file holds {size} "
                "bytes",
                REMEDY,
            )
        return StoredWeight(name, tuple(shape), dtype, self._begin + begin, self)

    def _fail(self, problem: str, remedy: str) -> None:
        raise CheckpointError(f"{self.path} {problem}: {remedy}")


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(is_count(n, 0) for n in value)
