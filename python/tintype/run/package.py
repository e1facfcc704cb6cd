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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ModelFileError, ModelFormatError
from .model import TensorInfo
from .wire import DamagedError, entries, fields, first, integers, messages, number_of, text

__all__ = ["FunctionSummary", "PackageSummary", "opened", "read_package"]

#: ArrayFeatureType.ArrayDataType → numpy's name.
ARRAY_DTYPES = {65568: "float32", 131104: "int32", 65600: "float64", 65552: "float16", 131080: "int8"}

MODEL_PATHS = ("Data/com.apple.CoreML/model.mlmodel", "Data/model.mlmodel", "model.mlmodel")


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
    with opened(path) as (data, file):
        return _model(data, file)


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[memoryview, Path]]:
    """The bytes of the model file in the package at `path`, and its path; errors as `read_package` has them.

    A DamagedError inside the block becomes a ModelFormatError that names the file.
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
        yield data, file
    except DamagedError as error:
        raise ModelFormatError(f"{file} is damaged ({error}): convert or download the model again") from error


def _model(data: memoryview, file: Path) -> PackageSummary:
    program = first(data, 502)
    description = first(data, 2)
    if not len(program):
        raise ModelFormatError(f"{file} holds no ML Program: only packages of that kind are read")
    interfaces = {text(first(f, 1)): (f, (2, 3, 6)) for f in messages(description, 20)}
    functions, parameters = {}, 0
    for name, function in sorted(entries(program, 2), key=lambda item: item[0] != "main"):
        interface, numbers = interfaces.get(name, (description, (1, 10, 13)))
        rows = [tuple(_feature(f) for f in messages(interface, number)) for number in numbers]
        tally = _Tally()
        for _, block in entries(function, 3):
            tally.add(block)
        functions[name] = FunctionSummary(rows[0], rows[1], rows[2], dict(tally.ops.most_common()))
        # Functions of one package share their weights.
        parameters = max(parameters, tally.parameters())
    weights = list(file.parent.glob("weights/*.bin"))
    return PackageSummary(
        specification_version=number_of(data, 1),
        functions=functions,
        parameters=parameters,
        weight_bytes=sum(weight.stat().st_size for weight in weights),
        metadata=_metadata(first(description, 100)),
    )


def _metadata(data: memoryview) -> dict[str, str]:
    keys = {1: "description", 2: "version", 3: "author", 4: "license"}
    rows = {keys[n]: text(v) for n, v in fields(data) if n in keys and isinstance(v, memoryview)}
    return rows | {key: text(value) for key, value in entries(data, 100)}


def _feature(data: memoryview) -> TensorInfo:
    """FeatureDescription: name 1, type 3 { multiArrayType 5, stateType 8 { arrayType 1 }, isOptional 1000}"""
    kind = first(data, 3)
    array = first(kind, 5)
    if not len(array):
        array = first(first(kind, 8), 1)
    shape = integers(array, 1)
    dtype = ARRAY_DTYPES.get(number_of(array, 2), "other")
    return TensorInfo(text(first(data, 1)), dtype, tuple(shape), bool(number_of(kind, 1000)))


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
            raise DamagedError("blocks are nested too deeply")
        for operation in messages(block, 3):
            kind = text(first(operation, 1))
            if kind == "const":
                self._constant(operation)
                continue
            self.ops[kind] += 1
            if kind.startswith("constexpr_"):
                self.decompressed += sum(_elements(output) for output in messages(operation, 3))
                for _, argument in entries(operation, 2):
                    self.consumed.update(text(first(binding, 1)) for binding in messages(argument, 1))
            for inner in messages(operation, 4):
                self.add(inner, depth + 1)

    def _constant(self, operation: memoryview) -> None:
        value = next((v for name, v in entries(operation, 5) if name == "val"), memoryview(b""))
        if len(first(value, 5)):  # in the weight file
            for output in messages(operation, 3):
                self.weights[text(first(output, 1))] = _elements(output)

    def parameters(self) -> int:
        """Compressed weights count as what they stand for."""
        return self.decompressed + sum(n for name, n in self.weights.items() if name not in self.consumed)


def _elements(named: memoryview) -> int:
    """Elements of a NamedValueType with a static tensor type; 0 for anything else."""
    tensor = first(first(named, 2), 1)
    sizes = [number_of(first(dimension, 1), 1) for dimension in messages(tensor, 3)]
    return math.prod(sizes)
