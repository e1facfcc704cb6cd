"""Writes the seed corpus of the fuzz target: the files of the small packages under tests/data, and programs
with what those lack (compressed weights, control flow, lists, several outputs).

    python fuzz/make_corpus.py fuzz/corpus

The first byte of a seed says which file it stands for: m model.mlmodel, j Manifest.json, w weight.bin (after
the eight bytes of the blob's offset), p model.mlmodel and weight.bin (after four bytes of the model's size).
"""

import pathlib
import struct
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.python.engine.programs import build, ct, mb, save, types  # noqa: E402

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


PROGRAMS = {
    ct.target.iOS15: [lists],
    ct.target.iOS16: [affine, lut, sparse, cast],
    ct.target.iOS17: [cond, loop, several],
    ct.target.iOS18: [lut18, blockwise],
}


def package_seed(package: pathlib.Path) -> bytes:
    model = (package / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    return b"p" + struct.pack("<I", len(model)) + model + (weights.read_bytes() if weights.exists() else b"")


def seeds():
    for package in sorted(PACKAGES.glob("*.mlpackage")):
        name = package.stem
        yield f"{name}.model", b"m" + (package / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
        weights = package / "Data/com.apple.CoreML/weights/weight.bin"
        if weights.exists():
            yield f"{name}.weights", b"w" + struct.pack("<Q", 64) + weights.read_bytes()
            yield f"{name}.package", package_seed(package)
    yield "manifest", b"j" + (PACKAGES / "add.mlpackage/Manifest.json").read_bytes()
    for opset, programs in PROGRAMS.items():
        for program in programs:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "net.mlpackage"
                yield (
                    f"{program.__name__}.package",
                    package_seed(save(build(program, {"x": X}, opset), path, opset)),
                )


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        if len(data) <= LARGEST:
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
