"""Packages that are refused when they are loaded: the folder, Manifest.json, weight.bin, the program."""

import os
import pathlib
import struct
from collections.abc import Callable

import numpy as np

from .. import ctypes_api
from .programs import (
    ANY,
    MIL,
    OPSET,
    Block,
    Const,
    Op,
    Program,
    f,
    literal,
    refusal,
    specification,
    tensor_type,
    write,
)

#: Makes a package in a folder that loading refuses; its text. {path} stands for the package's.
Case = tuple[Callable[[pathlib.Path], pathlib.Path], str]

AGAIN = "Convert or download the package again."
RELU = Op("relu", {"x": f(2, 3)})
X = {"x": f(2, 3)}


def load(folder: pathlib.Path, make: Callable[[pathlib.Path], pathlib.Path]) -> tuple[str, pathlib.Path]:
    path = make(folder)
    return refusal(lambda: ctypes_api.Model(path)), path


def manifest(text: str | bytes):
    return lambda folder: write(folder, Program([RELU]), manifest=text)


def program(*ops: Op, **parts):
    return lambda folder: write(folder, Program(ops, **parts))


def changed(change: Callable, *ops: Op):
    """The program of `ops` (one relu), its specification changed."""
    return program(*(ops or (RELU,)), change=change)


def block_of(model):
    return model.mlProgram.functions["main"].block_specializations[OPSET]


def first(change: Callable):
    """The first op of the program, changed."""
    return changed(lambda model: change(block_of(model).operations[0]))


def raw(content: bytes):
    return lambda folder: write(folder, content)


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes; lengths of up to 127."""
    key = number << 3 | 2
    return (
        (bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])) + bytes([len(content)]) + content
    )


def blob(dtype: int, size: int, offset: int = 128, padding: int = 0, content: bytes = b"") -> bytes:
    """weight.bin with one blob at 64."""
    header = struct.pack("<II", 1, 2).ljust(64, b"\0")
    return header + struct.pack("<IIQQQ", 0xDEADBEEF, dtype, size, offset, padding).ljust(64, b"\0") + content


def in_file(dtype: int, shape: tuple[int, ...], name: str = "@model_path/weights/weight.bin"):
    """The value of a constant that lies in a file."""
    value = MIL.Value()
    value.type.tensorType.dataType, value.type.tensorType.rank = dtype, len(shape)
    for size in shape:
        value.type.tensorType.dimensions.add().constant.size = size
    value.blobFileValue.fileName, value.blobFileValue.offset = name, 64
    return value


def weights(content: bytes, dtype: int = 11, shape: tuple[int, ...] = (3,), length: int = 0, reader: str = "cast",
            **options):  # fmt: skip
    """A constant "w" in weight.bin, of `length` bytes where it is longer than what is written; one op reads it."""

    def change(model):
        constant = block_of(model).operations.add(type="const")
        constant.attributes["val"].CopyFrom(in_file(dtype, shape, **options))
        constant.outputs.add(name="w", type=constant.attributes["val"].type)
        use = block_of(model).operations.add(type=reader)
        use.outputs.add(name="z", type=tensor_type(np.float32, shape))
        if reader == "cast":
            use.inputs["dtype"].arguments.add().value.CopyFrom(literal("fp32"))
        else:
            use.inputs["lut"].arguments.add().value.CopyFrom(
                literal(Const(np.ones((1, 1, 2, 1), np.float32)))
            )
        use.inputs["x" if reader == "cast" else "indices"].arguments.add().name = "w"
        if reader != "cast":
            del block_of(model).outputs[:], model.description.output[:]

    def make(folder):
        path = write(folder, Program([RELU], change=change), weights=content)
        if length:
            with open(path / "Data/com.apple.CoreML/weights/weight.bin", "r+b") as file:
                file.truncate(length)  # a file with a hole: it takes no room
        return path

    return make


def pipe(name: str):
    """A package one of whose files is a pipe, which nobody writes to."""

    def make(folder):
        path = weights(blob(2, 12, content=bytes(12)))(folder)
        (path / name).unlink()
        os.mkfifo(path / name)
        return path

    return make


FOLDERS: list[Case] = [
    (lambda folder: folder / "no.mlpackage", "no package at \"{path}\". Check the path."),
    (lambda folder: folder, '"{path}" is not an .mlpackage, got a folder without Manifest.json, '
     "expected a folder with a Manifest.json. Give the path of the package itself."),
    (manifest("{}"), f'[Manifest.json] rootModelIdentifier names no item, got "". {AGAIN}'),
    (manifest(b" " * ((1 << 20) + 1)), f"[Manifest.json] the file is too large, got 1048577 bytes. {AGAIN}"),
    (manifest('{"itemInfoEntries": {"A": {"path": "../model.mlmodel"}}, "rootModelIdentifier": "A"}'),
     f'[Manifest.json] the model\'s path does not lie in the package, got "../model.mlmodel". {AGAIN}'),
    (manifest('{"itemInfoEntries": {"A": {"path": "m"}}, "rootModelIdentifier": "A"}'),
     '[model.mlmodel] cannot read "{path}/Data/m": No such file or directory. Check the path and the permissions.'),
    (pipe("Manifest.json"), '[Manifest.json] "{path}/Manifest.json" is no file, got a pipe, '
     f"expected a file. {AGAIN}"),
    (pipe("Data/com.apple.CoreML/model.mlmodel"),
     '[model.mlmodel] "{path}/Data/com.apple.CoreML/model.mlmodel" is no file, got a pipe, '
     f"expected a file. {AGAIN}"),
    (pipe("Data/com.apple.CoreML/weights/weight.bin"),
     '[weight.bin] "{path}/Data/com.apple.CoreML/weights/weight.bin" is no file, got a pipe, '
     f"expected a file. {AGAIN}"),
    (manifest('{"a\n": 1}'), f"[Manifest.json] not valid JSON: a control character in a string at byte 4. {AGAIN}"),
    (manifest(b'{"\xff": 1}'), f"[Manifest.json] not valid JSON: a string is not UTF-8 or holds a NUL at byte 4. {AGAIN}"),
    (manifest('{"\\x": 1}'), f"[Manifest.json] not valid JSON: an unknown escape in a string at byte 4. {AGAIN}"),
    (manifest('{"\\u12g4": 1}'), f"[Manifest.json] not valid JSON: a bad \\u escape at byte 7. {AGAIN}"),
    (manifest('{"\\ud800\\u0020": 1}'), f"[Manifest.json] not valid JSON: a bad surrogate pair at byte 14. {AGAIN}"),
]  # fmt: skip


def next_to_empty(folder: pathlib.Path) -> pathlib.Path:
    """A megabyte of operations that have a type and nothing else."""
    model, _ = specification(Program([RELU]))
    block = MIL.Block()
    block.operations.extend([MIL.Operation(type="x")] * 200_000)
    block_of(model).CopyFrom(block)
    return write(folder, model.SerializeToString())


DAMAGE = "[model.mlmodel] the file is damaged at byte "
WIRE: list[Case] = [
    # description → input → type → multiarray → shape
    (raw(field(2, field(1, field(3, field(5, field(1, b"\xff" * 11)))))),
     f"{DAMAGE}10: a packed number is longer than 64 bits. {AGAIN}"),
    (raw(field(2, field(1, field(3, field(5, field(1, b"\xff")))))), f"{DAMAGE}10: packed numbers end early. {AGAIN}"),
    (raw(field(2, field(1, b""))), f"{DAMAGE}4: an input, output or state is empty. {AGAIN}"),
    (changed(lambda m: block_of(m).operations.add()), f"{DAMAGE}{{n}}: an operation is empty. {AGAIN}"),
    (changed(lambda m: block_of(m).inputs.add()), f"{DAMAGE}{{n}}: an input is empty. {AGAIN}"),
    (first(lambda op: op.outputs.add()), f"{DAMAGE}{{n}}: an output is empty. {AGAIN}"),
    (first(lambda op: op.inputs["x"].arguments.add()), f"{DAMAGE}{{n}}: an argument's binding is empty. {AGAIN}"),
    (first(lambda op: op.attributes["val"].SetInParent()), f"{DAMAGE}{{n}}: a value is empty. {AGAIN}"),
    (first(lambda op: op.attributes["val"].immediateValue.list.values.add()),
     f"{DAMAGE}{{n}}: a list's item is empty. {AGAIN}"),
    (next_to_empty, f"{DAMAGE}{{n}}: its messages are next to empty and would take more than {{n}} MiB. {AGAIN}"),
    (raw(field(2, field(21, b"\xff"))), f"{DAMAGE}5: a text is not UTF-8 or holds a NUL. {AGAIN}"),
    (raw(field(2, field(1, field(3, field(5, field(1, b"\xff" * 5 + b"\x0f")))))),
     f"{DAMAGE}8: an input's or output's shape is impossible. {AGAIN}"),
    (changed(lambda m: setattr(m.description.input[0].type.imageType, "width", 3)),
     f"{DAMAGE}{{n}}: an image has no known color space. {AGAIN}"),
    (program(Op("relu", {"x": f(2)}, (np.float32, (2,))),
             change=lambda m: setattr(block_of(m).operations[0].outputs[0].type.tensorType, "rank", 3)),
     f"{DAMAGE}{{n}}: a type of rank 3 has 1 dimensions. {AGAIN}"),
]  # fmt: skip


def nested(depth: int) -> Op:
    inner = Block(ops=(nested(depth - 1),), outputs=("y",)) if depth else Block()
    return Op("cond", {"pred": True}, blocks=(inner, Block()))


def twice(folder):
    model, _ = specification(Program([RELU]))
    functions = model.mlProgram.SerializeToString()
    model.ClearField("mlProgram")
    both = functions + functions
    length = bytes([len(both) & 127 | 128, len(both) >> 7])
    return write(folder, model.SerializeToString() + b"\xb2\x1f" + length + both)


def text_constant(op):
    op.attributes["val"].CopyFrom(literal("a"))
    op.attributes["val"].type.tensorType.CopyFrom(tensor_type(str, (2,)).tensorType)
    op.outputs[0].type.CopyFrom(op.attributes["val"].type)


CONST = Op("const", {"val": 1.0}, (np.float32, ()))
PROGRAMS: list[Case] = [
    (first(lambda op: op.outputs[0].ClearField("type")), f'[relu "y"] a value has no type. {AGAIN}'),
    (first(lambda op: setattr(op.outputs[0], "name", "")), f'[relu "y"] an output has no name. {AGAIN}'),
    (first(lambda op: op.attributes["x"].CopyFrom(literal(1.0))), f'[relu "y"] parameter "x" comes twice. {AGAIN}'),
    (first(lambda op: op.inputs["x"].arguments.add(name="x")),
     f'[relu "y"] parameter "x" has a wrong count of values, got 2, expected 1. {AGAIN}'),
    (first(lambda op: op.blocks.add()), f'[relu "y"] wrong count of blocks, got 1, expected 0. {AGAIN}'),
    (program(nested(17)), '[function "main"] blocks nest too deeply, got 17, expected at most 16. '
     "Flatten the model's control flow."),
    (program(Op("read_state", {"input": "@s"}), states={"s": f(2)},
             change=lambda m: m.mlProgram.functions["main"].inputs[0].type.stateType.wrappedType.CopyFrom(
                 tensor_type(np.float32, ANY))),
     f'[function "main"] a state\'s shape is not fixed, got a state of float32 [...]. {AGAIN}'),
    (program(Op("const", {}), outputs=()), f'[const "y"] the constant has no value. {AGAIN}'),
    (program(Op("const", {"val": 1.0}, (np.float32, ()), ("y", "z"))),
     f'[const "y"] wrong count of outputs, got 2, expected 1. {AGAIN}'),
    (program(CONST, change=lambda m: block_of(m).operations[0].attributes["val"].type.CopyFrom(
        tensor_type(np.float32, ANY))), f'[const "y"] a constant\'s shape is not fixed, got float32 [...]. {AGAIN}'),
    (program(CONST, change=lambda m: text_constant(block_of(m).operations[0])),
     f'[const "y"] a text constant has another count, got 1, expected 2. {AGAIN}'),
    (changed(lambda m: setattr(m.mlProgram.functions["main"], "opset", "CoreML1")),
     f'[function "main"] it has no block for its opset, got "CoreML7", expected "CoreML1". {AGAIN}'),
    (changed(lambda m: block_of(m).inputs.add(name="z", type=tensor_type(np.float32, (1,)))),
     f'[function "main"] its block takes inputs of its own, got 1, expected 0. {AGAIN}'),
    (changed(lambda m: m.ClearField("description")), "[model.mlmodel] the file describes no function, got no inputs and "
     f"outputs, expected a description. {AGAIN}"),
    (twice, f'[function "main"] the program defines it twice. {AGAIN}'),
    (changed(lambda m: m.mlProgram.functions.pop("main")), f"[model.mlmodel] the program has no function. {AGAIN}"),
]  # fmt: skip


def state_feature(model):
    state = model.description.state.add(name="s").type.stateType.arrayType
    state.shape.extend([2])
    state.dataType = 65568


def list_input(model):
    model.mlProgram.functions["main"].inputs[0].type.listType.type.CopyFrom(tensor_type(np.float32, (2,)))


def gray(model):
    image = model.description.input[0].type.imageType
    image.width, image.height, image.colorSpace = 3, 2, 10


DESCRIPTIONS: list[Case] = [
    (changed(state_feature), f'[function "main"] the program has no state "s". {AGAIN}'),
    (program(RELU, states={"s": f(2)}, change=lambda m: m.description.ClearField("state")),
     f'[function "main"] state "s" is not described. {AGAIN}'),
    (changed(lambda m: m.description.functions.add(name="other")),
     f'[function "other"] it is described, but the program does not define it. {AGAIN}'),
    (changed(lambda m: setattr(m.description.input[0], "name", "q")),
     f'[function "main"] the program has no input "q". {AGAIN}'),
    (changed(list_input), '[function "main"] input "x" is no tensor, got a list, expected a multiarray or an image. '
     "Convert the model without it."),
    (changed(lambda m: m.description.input.add().CopyFrom(m.description.input[0])),
     f'[function "main"] input "x" is described twice. {AGAIN}'),
    (changed(lambda m: setattr(m.description.output[0], "name", "q")),
     f'[function "main"] the program returns no output "q". {AGAIN}'),
    (changed(lambda m: m.description.ClearField("input")), f'[function "main"] input "x" is not described. {AGAIN}'),
    (changed(gray), f'[input "x"] the program\'s tensor cannot hold the image, got [2, 3], '
     f"expected [1, 1, height, width]. {AGAIN}"),
]  # fmt: skip

DAMAGED_FILE = "The file is damaged or cut short: convert or download the package again."
SIDE = 2**19  # of a matrix of more elements than any memory holds
WEIGHTS: list[Case] = [
    (weights(blob(2, 12, content=bytes(12)), name="../weight.bin"),
     '[model.mlmodel] a weight file does not lie in the package, got "../weight.bin", '
     f'expected "@model_path/weights/weight.bin". {AGAIN}'),
    (weights(blob(14, 12, content=bytes(12))),
     f'[const "w"] its weight in the file has another dtype, got int32, expected float32. {AGAIN}'),
    (weights(blob(2, 8, content=bytes(8))),
     f'[const "w"] its weight in the file has another size, got 2 elements, expected 3 of float32 [3]. {AGAIN}'),
    (weights(blob(11, 2, padding=9, content=bytes(2)), dtype=35),
     f"[weight.bin] the weight at byte 64 has too much padding, got 9 bits, expected 0 to 7. {DAMAGED_FILE}"),
    (weights(blob(11, SIDE * SIDE // 2), dtype=35, shape=(SIDE, SIDE), length=128 + SIDE * SIDE // 2),
     f'[cast "z"] the weight is larger than memory when it is unpacked, got uint4 [{SIDE}, {SIDE}]. '
     "Close other programs, or use a smaller model."),
]  # fmt: skip

#: A weight that is kept in its codes is loaded, and refused when it is read.
EXPANDED = weights(blob(9, SIDE * SIDE // 8), dtype=37, shape=(SIDE, SIDE), length=128 + SIDE * SIDE // 8,
                   reader="constexpr_lut_to_dense")  # fmt: skip
EXPANDED_TEXT = (
    f'[constexpr_lut_to_dense "z"] the weight is larger than memory when it is expanded, got [{SIDE}, {SIDE}]. '
    "Close other programs, or use a smaller model."
)

CASES = FOLDERS + WIRE + PROGRAMS + DESCRIPTIONS + WEIGHTS
