"""What an `.mlpackage` says of itself, read without a runtime and without coremltools.

So `tintype inspect` works for any package, also for one that no backend here can run. Only the parts of Core
ML's Model.proto and MIL.proto that are shown are decoded; every length is checked before it is used.

    Model                      Program (MIL)              Operation
      1 specificationVersion     2 functions {name: …}      1 type
      2 description            Function                     2 inputs {name: Argument}
    502 mlProgram                3 blocks {opset: Block}     3 outputs [NamedValueType]
    ModelDescription           Block                        4 blocks
      1 input  10 output         3 operations               5 attributes {name: Value}
     20 functions 100 metadata
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelFileError, ModelFormatError
from .model import TensorInfo

__all__ = ["FunctionSummary", "PackageSummary", "read_package"]

#: ArrayFeatureType.ArrayDataType → numpy's name.
ARRAY_DTYPES = {65568: "float32", 131104: "int32", 65600: "float64", 65552: "float16", 131080: "int8"}

MODEL_PATHS = ("Data/com.apple.CoreML/model.mlmodel", "Data/model.mlmodel", "model.mlmodel")

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class FunctionSummary:
    """A function: what it takes, gives and keeps, and how often it uses each op (constants left out)."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    states: tuple[TensorInfo, ...]
    ops: Mapping[str, int]


@dataclass(frozen=True)
class PackageSummary:
    """A package. `parameters` counts elements in the weight file, `weight_bytes` is that file's size."""

    specification_version: int
    functions: Mapping[str, FunctionSummary]
    parameters: int
    weight_bytes: int
    metadata: Mapping[str, str]


def read_package(path: str | Path) -> PackageSummary:
    """Read the package at `path`.

    Raises ModelFileError if a file is missing, ModelFormatError if it is damaged or is no ML Program.
    """
    root = Path(path)
    file = next((root / p for p in MODEL_PATHS if (root / p).is_file()), None)
    if file is None:
        raise ModelFileError(f"{root} is not an .mlpackage: it has no {MODEL_PATHS[0]}")
    try:
        data = memoryview(file.read_bytes())
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror}") from error
    try:
        return _model(data, file)
    except _DamagedError as error:
        raise ModelFormatError(f"{file} is damaged ({error}): convert or download the model again") from error


class _DamagedError(Exception):
    """A message that is not valid protobuf."""


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise _DamagedError(f"a number ends outside the file at byte {place}")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """(field number, int or memoryview) of every field of a message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = _varint(data, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise _DamagedError(f"field {number} has the unknown wire type {kind}")
        if number == 0 or size > len(data) - place:
            raise _DamagedError(f"field {number} of {size} bytes does not fit")
        yield number, data[place : place + size]
        place += size


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(data):
        if number == wanted:
            if not isinstance(value, memoryview):
                raise _DamagedError(f"field {wanted} is a number, expected a message")
            yield value


def _first(data: memoryview, wanted: int) -> memoryview:
    return next(_messages(data, wanted), memoryview(b""))


def _number(data: memoryview, wanted: int, default: int = 0) -> int:
    for number, value in _fields(data):
        if number == wanted and isinstance(value, int):
            return value
    return default


def _text(data: memoryview) -> str:
    return bytes(data).decode("utf-8", "replace")


def _map(data: memoryview, wanted: int) -> Iterator[tuple[str, memoryview]]:
    """Entries of a map<string, message>."""
    for entry in _messages(data, wanted):
        yield _text(_first(entry, 1)), _first(entry, 2)


def _model(data: memoryview, file: Path) -> PackageSummary:
    program = _first(data, 502)
    description = _first(data, 2)
    if not len(program):
        raise ModelFormatError(f"{file} holds no ML Program: only packages of that kind are read")
    interfaces = {_text(_first(f, 1)): (f, (2, 3, 6)) for f in _messages(description, 20)}
    functions, parameters = {}, 0
    for name, function in sorted(_map(program, 2), key=lambda item: item[0] != "main"):
        interface, numbers = interfaces.get(name, (description, (1, 10, 13)))
        rows = [tuple(_feature(f) for f in _messages(interface, number)) for number in numbers]
        tally = _Tally()
        for _, block in _map(function, 3):
            tally.add(block)
        functions[name] = FunctionSummary(rows[0], rows[1], rows[2], dict(tally.ops.most_common()))
        # Functions of one package share their weights.
        parameters = max(parameters, tally.parameters())
    weights = list(file.parent.glob("weights/*.bin"))
    return PackageSummary(
        specification_version=_number(data, 1),
        functions=functions,
        parameters=parameters,
        weight_bytes=sum(weight.stat().st_size for weight in weights),
        metadata=_metadata(_first(description, 100)),
    )


def _metadata(data: memoryview) -> dict[str, str]:
    keys = {1: "description", 2: "version", 3: "author", 4: "license"}
    rows = {keys[n]: _text(v) for n, v in _fields(data) if n in keys and isinstance(v, memoryview)}
    return rows | {key: _text(value) for key, value in _map(data, 100)}


def _feature(data: memoryview) -> TensorInfo:
    """FeatureDescription: name 1, type 3 { multiArrayType 5, stateType 8 { arrayType 1 }, isOptional 1000}"""
    kind = _first(data, 3)
    array = _first(kind, 5)
    if not len(array):
        array = _first(_first(kind, 8), 1)
    shape: list[int] = []
    for number, value in _fields(array):
        if number == 1 and isinstance(value, int):
            shape.append(value)
        elif number == 1:  # packed
            place = 0
            while place < len(value):
                size, place = _varint(value, place)
                shape.append(size)
    dtype = ARRAY_DTYPES.get(_number(array, 2), "other")
    return TensorInfo(_text(_first(data, 1)), dtype, tuple(shape), bool(_number(kind, 1000)))


@dataclass
class _Tally:
    """Counts the ops of blocks and of the blocks inside them, and the elements of weights."""

    ops: Counter[str] = field(default_factory=Counter)
    #: Output name of a `const` in the weight file → its elements.
    weights: dict[str, int] = field(default_factory=dict)
    #: Elements that decompressing ops produce, and the names that they consume.
    decompressed: int = 0
    consumed: set[str] = field(default_factory=set)

    def add(self, block: memoryview, depth: int = 0) -> None:
        if depth > 32:
            raise _DamagedError("blocks are nested too deeply")
        for operation in _messages(block, 3):
            kind = _text(_first(operation, 1))
            if kind == "const":
                self._constant(operation)
                continue
            self.ops[kind] += 1
            if kind.startswith("constexpr_"):
                self.decompressed += sum(_elements(output) for output in _messages(operation, 3))
                for _, argument in _map(operation, 2):
                    self.consumed.update(_text(_first(binding, 1)) for binding in _messages(argument, 1))
            for inner in _messages(operation, 4):
                self.add(inner, depth + 1)

    def _constant(self, operation: memoryview) -> None:
        value = next((v for name, v in _map(operation, 5) if name == "val"), memoryview(b""))
        if len(_first(value, 5)):  # in the weight file
            for output in _messages(operation, 3):
                self.weights[_text(_first(output, 1))] = _elements(output)

    def parameters(self) -> int:
        """Compressed weights count as what they stand for."""
        return self.decompressed + sum(n for name, n in self.weights.items() if name not in self.consumed)


def _elements(named: memoryview) -> int:
    """Elements of a NamedValueType with a static tensor type; 0 for anything else."""
    tensor = _first(_first(named, 2), 1)
    sizes = [_number(_first(dimension, 1), 1) for dimension in _messages(tensor, 3)]
    return math.prod(sizes)
