"""What an `.mlpackage` says of itself, read without a runtime and without coremltools.

So `tintype inspect` works for any package, also for one that no backend here can run. Only the parts of Core
ML's Model.proto and MIL.proto that are shown are decoded; every length is checked before it is used.

    Model                      Program (MIL)              Operation
      1 specificationVersion     2 functions {name: …}      1 type
      2 description            Function                     2 inputs {name: Argument}
    502 mlProgram                3 blocks {opset: Block}     3 outputs [NamedValueType]
    ModelDescription           Block                        4 blocks
      1 input  10 output         3 operations               5 attributes {name: Value}
     20 functions  21 default function  100 metadata
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ModelFileError, ModelFormatError
from .features import TensorInfo, feature
from .wire import DamagedError, entries, fields, first, messages, number_of, text

__all__ = ["FunctionSummary", "PackageSummary", "flexible_features", "opened", "read_package"]

Ranges = tuple[tuple[int, int], ...]
Shapes = tuple[tuple[int, ...], ...]

MODEL_PATHS = ("Data/com.apple.CoreML/model.mlmodel", "Data/model.mlmodel", "model.mlmodel")


@dataclass(frozen=True)
class FunctionSummary:
    """A function: what it takes, gives and keeps, and how often it uses each op (constants left out).

    `classes` counts the labels of a classifier; None: it is none.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    states: tuple[TensorInfo, ...]
    ops: Mapping[str, int]
    classes: int | None = None


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
    functions, parameters = {}, 0
    order = _order(description)
    for name, function in sorted(entries(program, 2), key=lambda row: order.get(row[0], len(order))):
        inputs, outputs, states = _interface(description, name)
        tally = _Tally()
        for _, block in entries(function, 3):
            tally.add(block)
        outputs = tuple(tally.completed(output) for output in outputs)
        functions[name] = FunctionSummary(
            inputs, outputs, states, dict(tally.ops.most_common()), tally.classes
        )
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


def _order(description: memoryview) -> dict[str, int]:
    """Function → its place among those that the interface lists, the default one first."""
    default = text(first(description, 21)) or "main"
    listed = [text(first(function, 1)) for function in messages(description, 20)]
    return {name: place for place, name in enumerate(dict.fromkeys((default, *listed)))}


def _interface(description: memoryview, function: str) -> tuple[tuple[TensorInfo, ...], ...]:
    """Inputs, outputs and states of a function."""
    interfaces = {text(first(f, 1)): (f, (2, 3, 6)) for f in messages(description, 20)}
    interface, numbers = interfaces.get(function, (description, (1, 10, 13)))
    return tuple(tuple(feature(f) for f in messages(interface, number)) for number in numbers)


def flexible_features(path: str | Path, function: str) -> dict[str, tuple[Ranges, Shapes]]:
    """Name → `ranges` and `shapes` of `TensorInfo`, of the inputs that take several shapes; none without the
    package's files."""
    try:
        with opened(path) as (data, _):
            inputs = _interface(first(data, 2), function)[0]
    except (ModelFileError, ModelFormatError):
        return {}
    return {info.name: (info.ranges, info.shapes) for info in inputs if info.ranges or info.shapes}


def _metadata(data: memoryview) -> dict[str, str]:
    keys = {1: "description", 2: "version", 3: "author", 4: "license"}
    rows = {keys[n]: text(v) for n, v in fields(data) if n in keys and isinstance(v, memoryview)}
    return dict(sorted((rows | {key: text(value) for key, value in entries(data, 100)}).items()))


@dataclass
class _Tally:
    """Counts the ops of blocks and of the blocks inside them, and the elements of weights."""

    ops: Counter[str] = field(default_factory=Counter)
    #: Output name of a `const` in the weight file → its elements.
    weights: dict[str, int] = field(default_factory=dict)
    #: Elements that decompressing ops produce, and the names that they consume.
    decompressed: int = 0
    consumed: set[str] = field(default_factory=set)
    #: Outputs of the outermost ops → shapes, -1 for what is not fixed.
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    classes: int | None = None

    def add(self, block: memoryview, depth: int = 0) -> None:
        if depth > 32:
            raise DamagedError("blocks are nested too deeply")
        for operation in messages(block, 3):
            kind = text(first(operation, 1))
            if depth == 0:
                self.shapes.update((text(first(o, 1)), _shape(o)) for o in messages(operation, 3))
            if kind == "const":
                self._constant(operation)
                continue
            self.ops[kind] += 1
            if kind.startswith("constexpr_"):
                self.decompressed += sum(_elements(output) for output in messages(operation, 3))
                for _, argument in entries(operation, 2):
                    self.consumed.update(text(first(binding, 1)) for binding in messages(argument, 1))
            if kind == "classify":
                self.classes = sum(_classes(a) for name, a in entries(operation, 2) if name == "classes")
            for inner in messages(operation, 4):
                self.add(inner, depth + 1)

    def _constant(self, operation: memoryview) -> None:
        value = next((v for name, v in entries(operation, 5) if name == "val"), memoryview(b""))
        if len(first(value, 5)):  # in the weight file
            for output in messages(operation, 3):
                self.weights[text(first(output, 1))] = _elements(output)

    def completed(self, output: TensorInfo) -> TensorInfo:
        """With the shape that the program declares where the description has none."""
        if output.color_layout is not None or output.shape:
            return output
        if output.shape is None and self.classes is not None:
            return replace(output, shape=(self.classes,))
        return replace(output, shape=self.shapes.get(output.name, output.shape))

    def parameters(self) -> int:
        """Compressed weights count as what they stand for."""
        return self.decompressed + sum(n for name, n in self.weights.items() if name not in self.consumed)


def _shape(named: memoryview) -> tuple[int, ...]:
    """The extents of a NamedValueType's tensor, -1 for one that is not fixed."""
    sizes = []
    for dimension in messages(first(first(named, 2), 1), 3):
        constant = next(messages(dimension, 1), None)
        sizes.append(-1 if constant is None else number_of(constant, 1))
    return tuple(sizes)


def _elements(named: memoryview) -> int:
    """Elements of a NamedValueType with a static tensor type; 0 for anything else."""
    return math.prod(max(size, 0) for size in _shape(named))


def _classes(argument: memoryview) -> int:
    """How many values are in the list that is written into an op's argument."""
    value = first(first(argument, 1), 2)
    return sum(1 for _ in messages(first(first(value, 3), 3), 1))
