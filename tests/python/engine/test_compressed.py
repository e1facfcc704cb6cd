"""Compressed weights that stay compressed in memory: the numbers of the expanded ones, to the bit."""

import subprocess
import sys

import numpy as np
import pytest

from . import ctypes_api
from .programs import ct, mb, save, types
from .test_packages import sub_byte

RNG = np.random.RandomState(11)


def decoded(codes, scale, offset=None):
    """What a block-wise weight stands for, as float16: `scale` and `offset` repeated over their blocks."""
    values = codes.astype(np.float32)
    for name, parameter in (("offset", offset), ("scale", scale)):
        if parameter is None:
            continue
        for axis, length in enumerate(codes.shape):
            parameter = np.repeat(parameter, length // parameter.shape[axis], axis)
        parameter = parameter.astype(np.float32)
        values = values - parameter if name == "offset" else values * parameter
    return values.astype(np.float16)


def product(weight, x):
    if len(weight.shape) == 2:
        return mb.linear(x=x, weight=weight, name="y")
    same = weight.shape[2] // 2
    return mb.conv(x=x, weight=weight, pad_type="custom", pad=[same] * 4, name="y")


def build(weight, shape):
    @mb.program(input_specs=[mb.TensorSpec(shape=shape, dtype=types.fp16)], opset_version=ct.target.iOS18)
    def program(x):
        return product(weight(), x)

    return program


def predictions(make, expanded, path):
    """One product with the weight that `make` emits, and with its expanded values."""
    channels = expanded.shape[1]
    shape = (5, channels) if expanded.ndim == 2 else (2, channels, 6, 7)
    x = RNG.randn(*shape).astype(np.float16)
    results = []
    for name, weight in (("compressed", make), ("expanded", lambda: expanded)):
        model = ctypes_api.Model(save(build(weight, shape), path / f"{name}.mlpackage", ct.target.iOS18))
        first = model.predict({"x": x})["y"]
        np.testing.assert_array_equal(first, model.predict({"x": x})["y"])
        results.append(first)
    return results


SHAPES = {
    "linear": ((96, 128), (96, 4)),
    "per_channel": ((96, 128), (96, 1)),
    "along_inputs": ((96, 128), (1, 128)),
    "one": ((96, 128), (1, 1)),
    "conv1": ((64, 96, 1, 1), (64, 3, 1, 1)),
    "conv3": ((32, 48, 3, 3), (32, 1, 1, 1)),
}


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
@pytest.mark.parametrize("layout", SHAPES)
def test_blockwise(dtype, layout, tmp_path):
    shape, blocks = SHAPES[layout]
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    low = -(2 ** (bits - 1)) if dtype.startswith("int") else 0
    codes, scale = RNG.randint(low, low + 2**bits, shape), (RNG.rand(*blocks) / 50).astype(np.float16)
    offset = RNG.randint(low, low + 2**bits, blocks) if dtype.startswith("u") else None

    def make():
        extra = {} if offset is None else {"offset": sub_byte(offset, dtype)}
        return mb.constexpr_blockwise_shift_scale(data=sub_byte(codes, dtype), scale=scale, **extra)

    compressed, expanded = predictions(make, decoded(codes, scale, offset), tmp_path)
    np.testing.assert_array_equal(compressed, expanded)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("layout", ["per_channel", "conv1", "one"])
def test_palettes(bits, layout, tmp_path):
    shape, groups = SHAPES[layout]
    codes = RNG.randint(0, 2**bits, shape)
    table = (RNG.randn(*groups, 2**bits, 1) / 10).astype(np.float16)
    spread = table[..., 0]
    for axis, length in enumerate(shape):
        spread = np.repeat(spread, length // spread.shape[axis], axis)
    expanded = np.take_along_axis(spread, codes[..., None], -1)[..., 0]
    results = predictions(
        lambda: mb.constexpr_lut_to_dense(indices=sub_byte(codes, f"uint{bits}"), lut=table),
        expanded,
        tmp_path,
    )
    np.testing.assert_array_equal(*results)


def build_lookup(table, shape):
    @mb.program(input_specs=[mb.TensorSpec(shape=shape, dtype=types.int32)], opset_version=ct.target.iOS18)
    def program(i):
        return mb.gather(x=table(), indices=i, axis=0, name="y")

    return program


@pytest.mark.parametrize(
    "indices", [np.array([[3, 90, 3], [0, -1, 41]], np.int32), np.array([7], np.int32)], ids=str
)
@pytest.mark.parametrize("kind", ["int4", "uint8", "palette3", "odd_rows"])
def test_rows_of_a_table(kind, indices, tmp_path):
    """An embedding: gather decodes the rows that it is asked for, as the whole table would have them."""
    shape = (96, 65) if kind == "odd_rows" else (96, 128)  # rows of 65 4-bit codes start within a byte
    if kind == "palette3":
        codes, table = RNG.randint(0, 8, shape), RNG.randn(8).astype(np.float16)
        lut = table.reshape(1, 1, 8, 1)

        def weight():
            return mb.constexpr_lut_to_dense(indices=sub_byte(codes, "uint3"), lut=lut)
    else:
        dtype = "int4" if kind == "odd_rows" else kind
        codes = RNG.randint(-8 if dtype == "int4" else 0, 8 if dtype == "int4" else 256, shape)
        scale = (RNG.rand(96, 1 if kind == "odd_rows" else 4) / 50).astype(np.float16)

        def weight():
            return mb.constexpr_blockwise_shift_scale(data=sub_byte(codes, dtype), scale=scale)

    expanded = table[codes] if kind == "palette3" else decoded(codes, scale)
    results = []
    for name, make in (("compressed", weight), ("expanded", lambda: expanded)):
        path = save(build_lookup(make, indices.shape), tmp_path / f"{name}.mlpackage", ct.target.iOS18)
        results.append(ctypes_api.Model(path).predict({"i": indices})["y"])
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0], expanded[indices])


_MEMORY = """
import pathlib, sys
import numpy as np
from tests.python.engine import ctypes_api

def anonymous():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024

x = np.ones((2, 2048), np.float16)
warm = ctypes_api.Model(sys.argv[1])
warm.predict({"x": x})
del warm
before = anonymous()
model = ctypes_api.Model(sys.argv[1])
model.predict({"x": x})
print(anonymous() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_that_of_the_file(tmp_path):
    """Twelve layers of 4 M weights in 4 bits: 96 MiB as float16, of which few at a time exist, in memory used again."""

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(2, 2048), dtype=types.fp16)],
        opset_version=ct.target.iOS18,
    )
    def program(x):
        for i in range(12):
            codes = sub_byte(RNG.randint(-8, 8, (2048, 2048)), "int4")
            scale = np.full((2048, 64), 0.003, np.float16)
            x = mb.linear(
                x=x, weight=mb.constexpr_blockwise_shift_scale(data=codes, scale=scale), name=f"y{i}"
            )
        return x

    path = save(program, tmp_path / "net.mlpackage", ct.target.iOS18)
    run = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 32
