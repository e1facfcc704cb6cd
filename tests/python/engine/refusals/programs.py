"""Packages as raw as the protobuf: programs that no builder writes, and the texts that refuse them."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ctypes_api
from ..programs import ct

__all__ = ["ANY", "Block", "Const", "Op", "Program", "Row", "f", "i", "refusal", "write"]

MIL, Model = ct.proto.MIL_pb2, ct.proto.Model_pb2
OPSET = "CoreML7"
_DTYPES = {
    np.dtype(np.bool_): 1, np.dtype(np.float16): 10, np.dtype(np.float32): 11, np.dtype(np.float64): 12,
    np.dtype(np.int8): 21, np.dtype(np.int16): 22, np.dtype(np.int32): 23, np.dtype(np.int64): 24,
    np.dtype(np.uint8): 31, np.dtype(np.uint16): 32, np.dtype(np.uint32): 33,
}  # fmt: skip
_FEATURES = {np.dtype(np.float16): 65552, np.dtype(np.float32): 65568, np.dtype(np.int32): 131104}
_MANIFEST = (
    '{"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A": {"path": "com.apple.CoreML/model.mlmodel"}}, '
    '"rootModelIdentifier": "A"}'
)

#: The shape of an output that the program leaves open.
ANY = None


@dataclass
class Const:
    """A constant of any dtype, where a plain array is an input of the program."""

    values: np.ndarray


def f(*shape: int) -> np.ndarray:
    """Ones, an input."""
    return np.ones(shape, np.float32)


def i(*values: int) -> np.ndarray:
    """Integers, an input."""
    return np.array(values, np.int32)


@dataclass
class Block:
    """A nested block: names of its inputs, its ops, names of its outputs."""

    inputs: Sequence[str] = ()
    ops: Sequence[Op] = ()
    outputs: Sequence[str] = ()


@dataclass
class Op:
    """One op. Parameters: "@name" reads a value, an array is an input of the program, the rest are constants."""

    type: str
    parameters: dict[str, Any] = field(default_factory=dict)
    out: tuple[Any, Sequence[int] | None] = (np.float32, ANY)
    outputs: Sequence[str] = ("y",)
    blocks: Sequence[Block] = ()


@dataclass
class Program:
    """The function "main": its ops, inputs beside those of the ops, states, and the names it returns."""

    ops: Sequence[Op]
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    states: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: Sequence[str] = ("y",)
    change: Callable[[Any], None] = lambda model: None  # of the specification, before it is written


def tensor_type(dtype: Any, shape: Sequence[int] | None) -> Any:
    number = 2 if dtype is str else _DTYPES[np.dtype(dtype)]
    tensor = MIL.TensorType(dataType=number, rank=-1 if shape is None else len(shape))
    if shape is None:
        tensor.dimensions.add().unknown.variadic = True
    for size in shape or ():
        tensor.dimensions.add().constant.size = size
    return MIL.ValueType(tensorType=tensor)


def literal(value: Any) -> Any:
    """A Value of a Const, a text, or anything that numpy makes an int32, a float32 or a bool of."""
    if isinstance(value, str):
        out = MIL.Value(type=tensor_type(str, ()))
        out.immediateValue.tensor.strings.values.append(value)
        return out
    if isinstance(value, Const):
        array = np.asarray(value.values)
    else:
        array = np.asarray(value)
        array = array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))
    out = MIL.Value(type=tensor_type(array.dtype, array.shape))
    out.immediateValue.tensor.bytes.values = array.tobytes()
    return out


def _bind(argument: Any, name: str, value: Any, inputs: dict[str, np.ndarray]) -> None:
    if isinstance(value, list) and any(isinstance(each, str | Const) for each in value):
        for each in value:
            _bind(argument, name, each, inputs)
    elif isinstance(value, str) and value.startswith("@"):
        argument.arguments.add().name = value[1:]
    elif isinstance(value, np.ndarray):
        inputs[name] = value
        argument.arguments.add().name = name
    else:
        argument.arguments.add().value.CopyFrom(literal(value))


def _add(block: Any, op: Op, inputs: dict[str, np.ndarray]) -> None:
    made = block.operations.add(type=op.type)
    for name, value in op.parameters.items():
        if op.type == "const":
            made.attributes[name].CopyFrom(literal(value))
        else:
            _bind(made.inputs[name], name, value, inputs)
    for name in op.outputs:
        made.outputs.add(name=name, type=tensor_type(*op.out))
    made.attributes["name"].CopyFrom(literal(op.outputs[0] if op.outputs else "y"))
    for nested in op.blocks:
        inner = made.blocks.add()
        for name in nested.inputs:
            inner.inputs.add(name=name, type=tensor_type(np.float32, ANY))
        for each in nested.ops:
            _add(inner, each, inputs)
        inner.outputs.extend(nested.outputs)


def specification(program: Program) -> tuple[Any, dict[str, np.ndarray]]:
    """The Model, and what its inputs are called with."""
    model = Model.Model(specificationVersion=8)
    inputs = dict(program.inputs)
    function = model.mlProgram.functions["main"]
    model.mlProgram.version, function.opset = 1, OPSET
    block = function.block_specializations[OPSET]
    for op in program.ops:
        _add(block, op, inputs)
    block.outputs.extend(program.outputs)
    for name, array in inputs.items():
        function.inputs.add(name=name, type=tensor_type(array.dtype, array.shape))
        array_type = model.description.input.add(name=name).type.multiArrayType
        array_type.shape.extend(array.shape)
        array_type.dataType = _FEATURES.get(array.dtype, 0)
    for name, array in program.states.items():
        wrapped = function.inputs.add(name=name).type.stateType.wrappedType
        wrapped.CopyFrom(tensor_type(array.dtype, array.shape))
        state = model.description.state.add(name=name).type.stateType.arrayType
        state.shape.extend(array.shape)
        state.dataType = _FEATURES[array.dtype]
    for name in program.outputs:
        model.description.output.add(name=name).type.multiArrayType.dataType = 65568
    model.description.metadata.SetInParent()
    program.change(model)
    return model, inputs


def write(folder: pathlib.Path, program: Program | bytes, weights: bytes | None = None,
          manifest: str | bytes = _MANIFEST) -> pathlib.Path:  # fmt: skip
    """The package net.mlpackage in `folder`; `program` may be the bytes of model.mlmodel."""
    path = folder / "net.mlpackage"
    data = path / "Data/com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    (path / "Manifest.json").write_bytes(manifest if isinstance(manifest, bytes) else manifest.encode())
    content = program if isinstance(program, bytes) else specification(program)[0].SerializeToString()
    (data / "model.mlmodel").write_bytes(content)
    if weights is not None:
        (data / "weights/weight.bin").write_bytes(weights)
    return path


def refusal(provoke: Callable[[], Any]) -> str:
    """The text of the EngineError that `provoke` runs into."""
    try:
        provoke()
    except ctypes_api.EngineError as error:
        return str(error)
    raise AssertionError("nothing was refused")


@dataclass
class Row:
    """An op that is refused, and all of the text behind "[op "y"] "."""

    op: str
    parameters: dict[str, Any]
    text: str
    out: tuple[Any, Sequence[int] | None] = (np.float32, ANY)
    outputs: Sequence[str] = ("y",)
    blocks: Sequence[Block] = ()

    @property
    def whole_text(self) -> str:
        return f'[{self.op} "{self.outputs[0] if self.outputs else "y"}"] {self.text}'

    def provoke(self) -> str:
        program = Program(
            [Op(self.op, self.parameters, self.out, self.outputs, self.blocks)], outputs=self.outputs
        )
        model, inputs = specification(program)
        with tempfile.TemporaryDirectory() as folder:
            path = write(pathlib.Path(folder), model.SerializeToString())
            return refusal(lambda: ctypes_api.Model(path).predict(inputs))
