"""Ops that the engine computes as one give what they give one by one; ops that only look like it stay apart."""

import numpy as np
import pytest

from . import ctypes_api
from .programs import build, ct, mb, save, types

RNG = np.random.RandomState(3)
SHAPE = (2, 64, 9, 65)


def modulated(x):
    scale, shift = (RNG.randn(1, 64, 1, 1).astype(x.dtype_of) for _ in "ab")
    yield (y := mb.mul(x=x.var, y=scale))
    yield (y := mb.add(x=shift, y=y))
    yield (y := mb.silu(x=y))
    yield mb.mul(x=y, y=x.dtype_of(0.125))


def gated(x):
    yield (y := mb.tanh(x=x.var))  # coremltools itself makes SiLU of x · sigmoid(x)
    yield (y := mb.mul(x=x.var, y=y))
    yield (y := mb.sub(x=RNG.randn(9, 1).astype(x.dtype_of), y=y))
    yield mb.add(x=x.var, y=y)


def gelu_written_out(x):
    yield (y := mb.mul(x=x.var, y=x.dtype_of(0.70710678)))
    yield (y := mb.erf(x=y))
    yield (y := mb.add(x=y, y=x.dtype_of(1)))
    yield (y := mb.mul(x=y, y=x.var))
    yield mb.mul(x=y, y=x.dtype_of(0.5))


def long(x):
    y = x.var
    for i in range(20):
        yield (y := mb.real_div(x=x.var, y=mb.add(x=y, y=x.dtype_of(2 + i))))


class Input:
    def __init__(self, var, dtype):
        self.var, self.dtype_of = var, dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("body", [modulated, gated, gelu_written_out, long])
def test_one_pass_or_many(body, dtype, tmp_path):
    """Returning every intermediate value gives it a second reader, which keeps its op apart."""
    x = RNG.randn(*SHAPE).astype(dtype)
    x.flat[:3] = 0, 60000, -60000
    results = []
    for name, apart in (("one", False), ("many", True)):
        RNG.seed(7)

        @mb.program(
            input_specs=[mb.TensorSpec(shape=SHAPE, dtype=types.fp16 if dtype == np.float16 else types.fp32)],
            opset_version=ct.target.iOS18,
        )
        def program(x):
            values = list(body(Input(x, dtype)))
            last = mb.identity(x=values[-1], name="y")
            return (last, *values[:-1]) if apart else last  # noqa: B023

        model = ctypes_api.Model(save(program, tmp_path / f"{name}.mlpackage", ct.target.iOS18))
        results.append(model.predict({"x": x})["y"])
    np.testing.assert_array_equal(*results)


def noise(*shape, dtype=np.float16, scale=1.0):
    return (RNG.randn(*shape) * scale).astype(dtype)


def joined(op, inputs, folder, monkeypatch):
    """The outputs of a program with its ops joined and apart, and the names of what was joined."""
    path = save(build(op, inputs, ct.target.iOS18), folder / "net.mlpackage", ct.target.iOS18)
    monkeypatch.setenv("TINTYPE_FUSION", "0")
    apart = ctypes_api.Model(path)
    monkeypatch.delenv("TINTYPE_FUSION")
    model = ctypes_api.Model(path)
    assert apart.metadata["functions"]["main"]["fused"] == {}
    assert model.metadata["functions"]["main"]["ops"] == apart.metadata["functions"]["main"]["ops"]
    names = model.metadata["functions"]["main"]["fused"]
    return model.predict(inputs), apart.predict(inputs), names


def weights(*shape, dtype):
    return noise(*shape, dtype=dtype, scale=np.prod(shape[1:]) ** -0.5)


def linear_gelu(x):
    y = mb.linear(x=x, weight=weights(70, 33, dtype=DTYPE), bias=noise(70, dtype=DTYPE))
    return mb.gelu(x=y, mode="TANH_APPROXIMATION")


def gated_residual(x, other, row):
    y = mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE), bias=noise(33, dtype=DTYPE))
    return mb.add(x=other, y=mb.mul(x=y, y=row))


def widened_residual(x, wide):
    y = mb.cast(x=mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE)), dtype="fp32")
    return mb.add(x=wide, y=mb.mul(x=y, y=np.float32(0.125)))


def product(x, y):
    return mb.relu(x=mb.mul(x=mb.matmul(x=x, y=y, transpose_y=True), y=DTYPE(0.25)))


def convolution(x, other):
    y = mb.conv(x=x, weight=weights(8, 6, 3, 3, dtype=DTYPE), bias=noise(8, dtype=DTYPE), pad_type="same")
    return mb.silu(x=mb.sub(x=other, y=y))


def grouped_convolution(x):
    y = mb.conv(x=x, weight=weights(16, 1, 3, 3, dtype=DTYPE), pad_type="valid", groups=16)
    return mb.mul(x=y, y=noise(16, 1, 1, dtype=DTYPE))


def modulated_rows(x, scale, shift):
    y = mb.layer_norm(x=x, axes=[-1], epsilon=DTYPE(1e-5))
    return mb.add(x=mb.mul(x=y, y=scale), y=shift)


def modulated_channels(x, scale, shift):
    y = mb.layer_norm(
        x=x, axes=[1], epsilon=DTYPE(1e-5), gamma=noise(24, dtype=DTYPE), beta=noise(24, dtype=DTYPE)
    )
    return mb.add(x=mb.mul(x=y, y=scale), y=shift)


def instances(x):
    y = mb.instance_norm(x=x, gamma=noise(5, dtype=DTYPE), beta=noise(5, dtype=DTYPE), epsilon=DTYPE(1e-5))
    return mb.tanh(x=y)


def groups(x, groups=4):
    batch, channels, height, width = x.shape
    y = mb.reshape(x=x, shape=(batch, groups, channels // groups * height, width))
    y = mb.reshape(x=mb.instance_norm(x=y, epsilon=DTYPE(1e-5)), shape=x.shape)
    gamma, beta = noise(1, channels, 1, 1, dtype=DTYPE), noise(1, channels, 1, 1, dtype=DTYPE)
    return mb.mul(x=mb.silu(x=mb.add(x=mb.mul(x=y, y=gamma), y=beta)), y=DTYPE(0.125))


DTYPE = np.float16
FEED = (2, 19, 33)
EXACT = {
    "linear + gelu": (linear_gelu, {"x": FEED}),
    "linear + mul + add": (gated_residual, {"x": FEED, "other": FEED, "row": (2, 1, 33)}),
    "matmul + mul + relu": (product, {"x": (3, 5, 7), "y": (3, 9, 7)}),
    "conv + sub + silu": (convolution, {"x": (2, 6, 13, 37), "other": (1, 8, 13, 37)}),
    "conv + mul": (grouped_convolution, {"x": (1, 16, 12, 11)}),
    "layer_norm + mul + add": (modulated_rows, {"x": FEED, "scale": (2, 1, 33), "shift": (33,)}),
    "layer_norm + mul + add ": (
        modulated_channels,
        {"x": (2, 24, 1, 150), "scale": (2, 24, 1, 1), "shift": (24, 1, 150)},
    ),
    "instance_norm + tanh": (instances, {"x": (2, 5, 130, 131)}),
    "group_norm + mul + add + silu + mul": (groups, {"x": (2, 8, 91, 97)}),
    "group_norm + mul + add + silu + mul ": (groups, {"x": (1, 8, 7, 5)}),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", EXACT)
def test_element_wise_ops_behind_another_change_no_bit(name, dtype, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "DTYPE", dtype)
    RNG.seed(11)
    op, shapes = EXACT[name]
    inputs = {key: noise(*shape, dtype=dtype) for key, shape in shapes.items()}
    together, apart, names = joined(op, inputs, tmp_path, monkeypatch)
    assert names == {name.strip(): 1}
    for key, value in together.items():
        np.testing.assert_array_equal(value, apart[key])


def test_a_product_is_added_to_a_wider_stream_unrounded_only_once(tmp_path, monkeypatch):
    inputs = {"x": noise(*FEED), "wide": noise(*FEED, dtype=np.float32)}
    together, apart, names = joined(widened_residual, inputs, tmp_path, monkeypatch)
    assert names == {"linear + cast + mul + add": 1}
    for key, value in together.items():
        np.testing.assert_array_equal(value, apart[key])


def rms(x, axes=(-1,), keep_dims=True, wide=True, other=None):
    v = mb.cast(x=x, dtype="fp32") if wide else x
    square = mb.mul(x=v, y=v if other is None else other)
    mean = mb.reduce_mean(x=square, axes=axes, keep_dims=keep_dims)
    scale = mb.rsqrt(x=mean, epsilon=np.float32(1e-6) if wide or np.float32 == DTYPE else DTYPE(1e-5))
    return mb.mul(x=v, y=scale if keep_dims else mb.expand_dims(x=scale, axes=[-1]))


def weighted_rms(x):
    return mb.mul(x=mb.cast(x=rms(x), dtype="fp16"), y=noise(33))


def scaled_rms(x, axis=1, floor=0.015625):
    peak = mb.reduce_max(x=mb.abs(x=x), axes=[axis], keep_dims=True)
    peak = mb.maximum(x=peak, y=DTYPE(floor))
    unit, offset = mb.real_div(x=x, y=peak), mb.real_div(x=DTYPE(1e-3), y=peak)
    mean = mb.reduce_mean(x=mb.mul(x=unit, y=unit), axes=[axis], keep_dims=True)
    variance = mb.add(x=mean, y=mb.mul(x=offset, y=offset))
    return mb.mul(x=unit, y=mb.rsqrt(x=variance, epsilon=DTYPE(0)))


def sloped_gate(x):
    return mb.mul(x=mb.sigmoid(x=mb.mul(x=x, y=DTYPE(1.702))), y=x)


PATTERNS = {
    "rms_norm": (lambda x: rms(x), FEED),
    "rms_norm + cast + mul": (weighted_rms, FEED),
    "rms_norm ": (lambda x: rms(x, axes=(1,)), FEED),
    "scaled_rms_norm": (scaled_rms, (2, 24, 1, 150)),
    "scaled_rms_norm ": (lambda x: scaled_rms(x, axis=2), (2, 3, 16, 141)),
    "silu": (sloped_gate, FEED),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_norm_or_gate_written_out_is_one_op(name, tmp_path, monkeypatch):
    """Inside a pattern nothing is rounded: at most two units in float16's last place beside the op by op result,
    relative to the largest value."""
    RNG.seed(12)
    op, shape = PATTERNS[name]
    together, apart, names = joined(op, {"x": noise(*shape)}, tmp_path, monkeypatch)
    assert names == {name.strip(): 1}
    for key, value in together.items():
        error = np.abs(value.astype(np.float64) - apart[key].astype(np.float64)).max()
        assert error <= 2**-9 * np.abs(apart[key]).max()


def used_twice(x):
    y = mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE))
    return mb.add(x=mb.tanh(x=y), y=y)


def returned(x):
    y = mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE))
    return mb.tanh(x=y), y


def growing(x, tall):
    return mb.add(x=mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE)), y=tall)


def with_itself(x):
    y = mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE))
    return mb.mul(x=y, y=y)


def whole_numbers(x):
    return mb.cast(x=mb.linear(x=x, weight=weights(33, 33, dtype=DTYPE)), dtype="int32")


def other_groups(x):
    y = mb.reshape(x=mb.instance_norm(x=mb.reshape(x=x, shape=(1, 4, 22, 3))), shape=(1, 12, 11, 2))
    return mb.relu(x=y)


def normalised_twice(x):
    y = mb.reshape(x=x, shape=(1, 4, 22, 3))
    return mb.reshape(x=mb.instance_norm(x=y), shape=(1, 8, 11, 3)), y


def product_of_two(x, other):
    return rms(x, wide=False, other=other)


def two_axes(x):
    peak = mb.maximum(x=mb.reduce_max(x=mb.abs(x=x), axes=[2], keep_dims=True), y=DTYPE(0.015625))
    unit, offset = mb.real_div(x=x, y=peak), mb.real_div(x=DTYPE(1e-3), y=peak)
    mean = mb.reduce_mean(x=mb.mul(x=unit, y=unit), axes=[1], keep_dims=True)
    variance = mb.add(x=mean, y=mb.mul(x=offset, y=offset))
    return mb.mul(x=unit, y=mb.rsqrt(x=variance, epsilon=DTYPE(0)))


def gate_of_another(x, other):
    return mb.mul(x=x, y=mb.sigmoid(x=other))


NEAR_MISSES = {
    "a value used twice": (used_twice, {"x": FEED}),
    "a value that is returned": (returned, {"x": FEED}),
    "a sum that is larger": (growing, {"x": (1, 19, 33), "tall": (4, 19, 33)}),
    "a value with itself": (with_itself, {"x": FEED}),
    "another dtype": (whole_numbers, {"x": FEED}),
    "groups that come back as another shape": (other_groups, {"x": (1, 8, 11, 3)}),
    "groups that are returned": (normalised_twice, {"x": (1, 8, 11, 3)}),
    "a mean of products of two values": (product_of_two, {"x": FEED, "other": FEED}),
    "a mean that loses its axis": (lambda x: rms(x, keep_dims=False), {"x": FEED}),
    "maxima and means over different axes": (two_axes, {"x": (2, 5, 6, 7)}),
    "the gate of another value": (gate_of_another, {"x": FEED, "other": FEED}),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_only_looks_alike_stays_apart(name, tmp_path, monkeypatch):
    RNG.seed(13)
    op, shapes = NEAR_MISSES[name]
    inputs = {key: noise(*shape) for key, shape in shapes.items()}
    together, apart, names = joined(op, inputs, tmp_path, monkeypatch)
    assert not any(("_norm" in n and n != "instance_norm") or n.startswith(("linear", "silu")) for n in names)
    for key, value in together.items():
        np.testing.assert_array_equal(value, apart[key])
