"""Writes the seed corpus of the fuzz targets: the files of the small packages under tests/data, and programs
with what those lack (compressed weights, control flow, lists, states, images, optional inputs).

    python fuzz/make_corpus.py fuzz/corpus
    python fuzz/make_corpus.py build/fuzz/seeds --drawn 2   # for long runs: two random programs of every op

The first byte of a seed says which file it stands for: m model.mlmodel, j Manifest.json, w weight.bin (after
the eight bytes of the blob's offset), p model.mlmodel and weight.bin (after four bytes of the model's size).
"""

import argparse
import pathlib
import struct
import sys
import tempfile
from collections.abc import Iterator

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.python.engine import drawn_elementwise, drawn_lists, drawn_networks, drawn_shapes  # noqa: E402
from tests.python.engine.drawn import Draw, with_constants  # noqa: E402
from tests.python.engine.programs import build, ct, mb, save, types  # noqa: E402
from tests.python.engine.test_images import save as save_image  # noqa: E402

PACKAGES = ROOT / "tests/data/packages"
LARGEST = 8192

X = np.ones((2, 3), np.float32)
VALUES = np.arange(96, dtype=np.float32).reshape(32, 3)
ONE = np.float32(1)


def sub_byte(values, name):
    return values.astype(types.nptype_from_builtin(types.string_to_builtin(name)))


def affine(x):
    data = np.arange(96, dtype=np.int8).reshape(32, 3)
    weight = mb.constexpr_affine_dequantize(quantized_data=data, zero_point=np.int8(1), scale=ONE, axis=0)
    return mb.linear(x=x, weight=weight)


def lut(x):
    indices, shape = np.arange(48, dtype=np.uint8), np.array([32, 3], np.uint32)
    weight = mb.constexpr_lut_to_dense(indices=indices, lut=np.arange(16, dtype=np.float32), shape=shape)
    return mb.linear(x=x, weight=weight)


def sparse(x):
    mask, shape = np.full(12, 0x55, np.uint8), np.array([32, 3], np.uint32)
    data = np.arange(48, dtype=np.float32)
    return mb.linear(x=x, weight=mb.constexpr_sparse_to_dense(nonzero_data=data, mask=mask, shape=shape))


def cast(x):
    return mb.linear(x=x, weight=mb.constexpr_cast(source_val=VALUES.astype(np.float16), output_dtype="fp32"))


def lut18(x):
    tables = np.arange(32, dtype=np.float32).reshape(2, 1, 16, 1)
    return mb.linear(
        x=x, weight=mb.constexpr_lut_to_dense(indices=sub_byte(VALUES % 16, "uint4"), lut=tables)
    )


def blockwise(x):
    data, scale = sub_byte(VALUES % 16 - 8, "int4"), np.ones((32, 1), np.float32)
    return mb.linear(x=x, weight=mb.constexpr_blockwise_shift_scale(data=data, scale=scale))


def cond(x):
    positive = mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1], keep_dims=False), y=np.float32(0))
    return mb.cond(pred=positive, _true_fn=lambda: mb.add(x=x, y=ONE), _false_fn=lambda: mb.sub(x=x, y=ONE))


def loop(x):
    return mb.while_loop(
        _cond=lambda i, y: mb.less(x=i, y=np.int32(3)),
        _body=lambda i, y: (mb.add(x=i, y=np.int32(1)), mb.mul(x=y, y=ONE)),
        loop_vars=(np.int32(0), x),
    )[1]


def several(x):
    a, b = mb.split(x=x, num_splits=2, axis=0)
    c = mb.concat(values=[a, b, a], axis=0)
    centred = mb.sub(x=c, y=mb.reduce_mean(x=c, axes=[-1], keep_dims=True))
    return mb.softmax(x=mb.transpose(x=centred, perm=[1, 0]), axis=-1), mb.topk(x=c, k=2, axis=1)[1]


def lists(x):
    row = mb.reshape(x=mb.slice_by_index(x=x, begin=[0, 0], end=[1, 3]), shape=[3])
    made = mb.make_list(init_length=2, dynamic_length=True, elem_shape=(3,), dtype="fp32")
    return mb.list_read(ls=mb.list_write(ls=made, index=0, value=row), index=0)


def list_growing(x):
    """Written at places beyond its length, several at once, and read back so."""
    made = mb.make_list(init_length=1, dynamic_length=True, elem_shape=(3,), dtype="fp32")
    made = mb.list_scatter(ls=made, indices=[2, 0], value=x)
    return mb.list_gather(ls=made, indices=[0, 2, 2]), mb.list_length(ls=made)


def list_in_loop(x):
    """A list that a loop carries and that each round makes longer."""
    made = mb.make_list(init_length=0, dynamic_length=True, elem_shape=(3,), dtype="fp32")
    row = mb.squeeze(x=mb.slice_by_size(x=x, begin=[0, 0], size=[1, 3]), axes=[0])
    filled = mb.while_loop(
        _cond=lambda i, ls: mb.less(x=i, y=np.int32(3)),
        _body=lambda i, ls: (mb.add(x=i, y=np.int32(1)), mb.list_write(ls=ls, index=i, value=row)),
        loop_vars=(np.int32(0), made),
    )[1]
    return mb.list_gather(ls=filled, indices=[0, 1, 2])


PROGRAMS = {
    ct.target.iOS15: [lists, list_growing, list_in_loop],
    ct.target.iOS16: [affine, lut, sparse, cast],
    ct.target.iOS17: [cond, loop, several],
    ct.target.iOS18: [lut18, blockwise],
}


def kept_compressed(x):
    """Large enough that the weight stays in its codes."""
    data, scale = sub_byte(np.arange(4096).reshape(64, 64) % 16 - 8, "int4"), np.ones((64, 2), np.float32)
    weight = mb.constexpr_blockwise_shift_scale(data=data, scale=scale)
    return mb.linear(
        x=mb.tile(x=mb.slice_by_size(x=x, begin=[0, 0], size=[2, 1]), reps=[1, 64]), weight=weight
    )


PROGRAMS[ct.target.iOS18].append(kept_compressed)


def stateful():
    """total += x, in a state."""

    specs = [mb.TensorSpec((2,), dtype=types.fp16), mb.StateTensorSpec((2,), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def program(x, total):
        now = mb.add(x=x, y=mb.read_state(input=total))
        return mb.identity(x=mb.coreml_update_state(state=total, value=now), name="y")

    return program


def optional(path: pathlib.Path) -> None:
    """Gives the first input a default value, a second range of sizes, and makes it optional."""
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    spec = ct.proto.Model_pb2.Model.FromString(file.read_bytes())
    feature = spec.description.input[0].type
    feature.isOptional = True
    feature.multiArrayType.floatDefaultValue = 2.5
    for size in (2, 3):
        feature.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=size)
    file.write_bytes(spec.SerializeToString())


def package_seed(package: pathlib.Path) -> bytes:
    model = (package / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    return b"p" + struct.pack("<I", len(model)) + model + (weights.read_bytes() if weights.exists() else b"")


def packages(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The packages that tests/data lacks, written into `folder`."""
    for opset, programs in PROGRAMS.items():
        for program in programs:
            yield save(build(program, {"x": X}, opset), folder / f"{program.__name__}.mlpackage", opset)
    yield save(stateful(), folder / "state.mlpackage", ct.target.iOS18)
    flexible = ct.Shape((1, 1, ct.RangeDim(2, 8), ct.RangeDim(2, 8)))
    yield save_image(folder / "image_bgr.mlpackage", "BGR")
    yield save_image(folder / "image_gray.mlpackage", "GRAYSCALE_FLOAT16", flexible)
    path = save(build(lambda x: mb.relu(x=x), {"x": X}), folder / "optional.mlpackage")
    optional(path)
    yield path


def seeds() -> Iterator[tuple[str, bytes]]:
    for package in sorted(PACKAGES.glob("*.mlpackage")):
        name = package.stem
        yield f"{name}.model", b"m" + (package / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
        weights = package / "Data/com.apple.CoreML/weights/weight.bin"
        if weights.exists():
            yield f"{name}.weights", b"w" + struct.pack("<Q", 64) + weights.read_bytes()
        yield f"{name}.package", package_seed(package)
    yield "manifest", b"j" + (PACKAGES / "add.mlpackage/Manifest.json").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for path in packages(pathlib.Path(folder)):
            yield f"{path.stem}.package", package_seed(path)


class Chosen(Draw):
    """Choices out of a seed instead of hypothesis' stream."""

    def __init__(self, seed: int):
        self._random = np.random.RandomState(seed)

    def integer(self, lowest: int, highest: int) -> int:
        return int(self._random.randint(lowest, highest + 1))


def drawn_seeds(count: int) -> Iterator[tuple[str, bytes]]:
    """`count` random programs of every op, the inputs but the first as constants."""
    families = (drawn_elementwise, drawn_lists, drawn_networks, drawn_shapes)
    generators = {op: generator for family in families for op, generator in family.GENERATORS.items()}
    for op, generator in generators.items():
        for seed in range(count):
            case = generator(Chosen(seed))
            constants = set(list(case.inputs)[1:]) if case.constant_inputs and seed % 2 else set()
            case = with_constants(case, constants)
            try:
                program = build(case.op, case.inputs, case.opset)
            except ValueError:  # coremltools takes fewer axes and shapes than numpy
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "net.mlpackage"
                yield f"{op}.{seed}.package", package_seed(save(program, path, case.opset))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--drawn", type=int, default=0, metavar="COUNT", help="random programs of every op")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, data in drawn_seeds(options.drawn) if options.drawn else seeds():
        if len(data) <= LARGEST:
            (options.folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
