"""The ops of an `.mlpackage`, one by one with their types, read without a runtime and without coremltools.

NamedValueType   1 name, 2 ValueType { 1 tensorType }
Binding          1 name | 2 Value
TensorType       1 dataType, 3 dimensions [ 1 constant { 1 size } | 2 unknown ]
Value            2 type, 3 immediate { 1 tensor }, 5 in the weight file
TensorValue      2 ints { 1 values }, 4 strings { 1 values }
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelFormatError
from .package import opened
from .wire import DamagedError, entries, first, integers, messages, number_of, text

__all__ = ["Constant", "FunctionOps", "Op", "Tensor", "read_program"]

#: MIL's DataType → (name, bits of an element).
DTYPES: Mapping[int, tuple[str, int]] = {
    1: ("bool", 8), 10: ("float16", 16), 11: ("float32", 32), 12: ("float64", 64), 13: ("bfloat16", 16),
    21: ("int8", 8), 22: ("int16", 16), 23: ("int32", 32), 24: ("int64", 64), 25: ("int4", 4),
    31: ("uint8", 8), 32: ("uint16", 16), 33: ("uint32", 32), 34: ("uint64", 64), 35: ("uint4", 4),
    36: ("uint2", 2), 37: ("uint1", 1), 38: ("uint6", 6), 39: ("uint3", 3),
}  # fmt: skip

MAX_DEPTH = 32


@dataclass(frozen=True)
class Tensor:
    """A value's type; -1 is an extent that is not fixed."""

    dtype: str
    shape: tuple[int, ...]
    bits: int

    @property
    def static(self) -> bool:
        """Whether every extent is fixed."""
        return all(n >= 0 for n in self.shape)

    @property
    def elements(self) -> int:
        """The number of elements, extents that are not fixed counting as one."""
        return math.prod(max(n, 1) for n in self.shape)

    @property
    def bytes(self) -> int:
        """Bytes, elements below 8 bits packed."""
        return -(-self.elements * self.bits // 8)

    @property
    def floating(self) -> bool:
        """Whether the elements are floats."""
        return "float" in self.dtype


@dataclass(frozen=True)
class Constant:
    """A constant: its type, whether it lies in the weight file, and short integers or text in the program."""

    tensor: Tensor | None
    stored: bool
    integers: tuple[int, ...]
    text: str | None


@dataclass(frozen=True)
class Op:
    """One operation: kind, argument → names of values, outputs, and how deep in nested blocks it lies."""

    kind: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: tuple[tuple[str, Tensor | None], ...]
    depth: int

    @property
    def place(self) -> str:
        """The name of the first output; converters put the layer's name there."""
        return self.outputs[0][0] if self.outputs else self.kind


@dataclass(frozen=True)
class FunctionOps:
    """A function: its ops in order, constants by name, and the type of every value. A constant that stands in
    an argument itself has a name of its own there, too."""

    name: str
    inputs: Mapping[str, Tensor | None]
    ops: tuple[Op, ...]
    constants: Mapping[str, Constant]
    tensors: Mapping[str, Tensor | None]

    def arguments(self, op: Op, name: str) -> list[Tensor]:
        """Types of the tensors bound to the argument `name`."""
        found = (self.tensors.get(value) for value in op.inputs.get(name, ()))
        return [tensor for tensor in found if tensor is not None]

    def integers(self, op: Op, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """The constant integers bound to `name`."""
        bound = op.inputs.get(name, ())
        constant = self.constants.get(bound[0]) if bound else None
        return constant.integers if constant is not None and constant.integers else default

    def text(self, op: Op, name: str) -> str | None:
        """The constant text bound to `name`."""
        bound = op.inputs.get(name, ())
        constant = self.constants.get(bound[0]) if bound else None
        return constant.text if constant is not None else None


def read_program(path: str | Path) -> tuple[FunctionOps, ...]:
    """The functions of the package at `path`, `main` first.

    Raises ModelFileError if a file is missing, ModelFormatError if it is damaged or is no ML Program.
    """
    with opened(path) as (data, file):
        program = first(data, 502)
        if not len(program):
            raise ModelFormatError(f"{file} holds no ML Program: only packages of that kind are read")
        functions = [_function(name, function) for name, function in entries(program, 2)]
        return tuple(sorted(functions, key=lambda f: (f.name != "main", f.name)))


def _function(name: str, data: memoryview) -> FunctionOps:
    inputs = dict(_named(value) for value in messages(data, 1))
    tensors: dict[str, Tensor | None] = dict(inputs)
    constants: dict[str, Constant] = {}
    ops: list[Op] = []
    for _, block in entries(data, 3):
        for operation, depth in _operations(block, 0):
            op, literals = _op(operation, depth)
            tensors.update(op.outputs)
            if op.kind == "const":
                value = next((v for key, v in entries(operation, 5) if key == "val"), memoryview(b""))
                constants[op.place] = _constant(value, tensors.get(op.place))
                continue
            ops.append(op)
            constants.update(literals)
            tensors.update((name, literal.tensor) for name, literal in literals.items())
    return FunctionOps(name, inputs, tuple(ops), constants, tensors)


def _operations(block: memoryview, depth: int) -> Iterator[tuple[memoryview, int]]:
    if depth > MAX_DEPTH:
        raise DamagedError("blocks are nested too deeply")
    for operation in messages(block, 3):
        yield operation, depth
        for inner in messages(operation, 4):
            yield from _operations(inner, depth + 1)


def _op(data: memoryview, depth: int) -> tuple[Op, dict[str, Constant]]:
    """The operation, and the constants that stand in its arguments themselves, as compressed weights do: by
    names that no value has."""
    outputs = tuple(_named(output) for output in messages(data, 3))
    kind = text(first(data, 1))
    place = outputs[0][0] if outputs else kind
    inputs: dict[str, tuple[str, ...]] = {}
    literals: dict[str, Constant] = {}
    for argument, bound in entries(data, 2):
        names = []
        for index, binding in enumerate(messages(bound, 1)):
            name, value = text(first(binding, 1)), first(binding, 2)
            if not name:
                name = f"{place}({argument} {index})"
                literals[name] = _constant(value, _typed(value))
            names.append(name)
        inputs[argument] = tuple(names)
    return Op(kind, inputs, outputs, depth), literals


def _named(data: memoryview) -> tuple[str, Tensor | None]:
    return text(first(data, 1)), _typed(data)


def _typed(data: memoryview) -> Tensor | None:
    """The tensor type of a NamedValueType or a Value, which have it in the same field."""
    tensor = first(first(data, 2), 1)
    return _tensor(tensor) if len(tensor) else None


def _tensor(data: memoryview) -> Tensor:
    dtype, bits = DTYPES.get(number_of(data, 1), ("other", 0))
    sizes = []
    for dimension in messages(data, 3):
        constant = next(messages(dimension, 1), None)
        # A dimension of extent 0 is an empty message: the field is there.
        sizes.append(number_of(constant, 1) if constant is not None else -1)
    return Tensor(dtype, tuple(sizes), bits)


def _constant(value: memoryview, tensor: Tensor | None) -> Constant:
    immediate = first(first(value, 3), 1)
    strings = [text(s) for s in messages(first(immediate, 4), 1)]
    return Constant(
        tensor=tensor,
        stored=len(first(value, 5)) > 0,
        integers=tuple(_signed(n) for n in integers(first(immediate, 2), 1)),
        text=strings[0] if strings else None,
    )


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
