"""elementwise_unary, elementwise_binary and activation ops against numpy or value inference."""

import math

import numpy as np
import pytest

from .programs import Case, check, ct, mb

RNG = np.random.RandomState(7)
SIGNED = RNG.uniform(-3, 3, (2, 3, 5)).astype(np.float32)
POSITIVE = RNG.uniform(0.05, 4, (2, 3, 5)).astype(np.float32)
UNIT = RNG.uniform(-0.95, 0.95, (2, 3, 5)).astype(np.float32)
INTEGERS = RNG.randint(-20, 20, (3, 4)).astype(np.int32)


def erf(x):
    return np.vectorize(math.erf)(x.astype(np.float64))


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


UNARY = {
    "abs": (SIGNED, np.abs), "acos": (UNIT, np.arccos), "asin": (UNIT, np.arcsin), "atan": (SIGNED, np.arctan),
    "atanh": (UNIT, np.arctanh), "ceil": (SIGNED, np.ceil), "cos": (SIGNED, np.cos), "cosh": (SIGNED, np.cosh),
    "erf": (SIGNED, erf), "exp": (SIGNED, np.exp), "exp2": (SIGNED, np.exp2), "floor": (SIGNED, np.floor),
    "round": (np.array([-2.5, -1.5, -0.4, 0.5, 1.5, 2.6], np.float32), np.round), "sign": (SIGNED, np.sign),
    "sin": (SIGNED, np.sin), "sinh": (SIGNED, np.sinh), "sqrt": (POSITIVE, np.sqrt), "square": (SIGNED, np.square),
    "tan": (UNIT, np.tan), "tanh": (SIGNED, np.tanh), "relu": (SIGNED, lambda x: np.maximum(x, 0)),
    "relu6": (SIGNED * 4, lambda x: np.clip(x, 0, 6)), "sigmoid": (SIGNED, sigmoid),
    "silu": (SIGNED, lambda x: x * sigmoid(x)), "softplus": (SIGNED, lambda x: np.log1p(np.exp(x.astype(np.float64)))),
    "softsign": (SIGNED, lambda x: x / (1 + np.abs(x))),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    x, reference = UNARY[name]
    check(Case(name, getattr(mb, name), {"x": x.astype(dtype)}, lambda x: reference(x.astype(np.float64))))


WITH_PARAMETERS = [
    Case("clip", lambda x: mb.clip(x=x, alpha=-1.0, beta=2.0), {"x": SIGNED}, lambda x: np.clip(x, -1, 2)),
    Case("inverse", lambda x: mb.inverse(x=x, epsilon=0.5), {"x": POSITIVE}, lambda x: 1 / (x + 0.5)),
    Case("log", lambda x: mb.log(x=x, epsilon=0.1), {"x": POSITIVE}, lambda x: np.log(x + 0.1)),
    Case("rsqrt", lambda x: mb.rsqrt(x=x, epsilon=0.1), {"x": POSITIVE}, lambda x: 1 / np.sqrt(x + 0.1)),
    Case("threshold", lambda x: mb.threshold(x=x, alpha=0.5), {"x": SIGNED}, lambda x: np.maximum(x, 0.5)),
    Case("logical_not", lambda x: mb.logical_not(x=mb.greater(x=x, y=0.0)), {"x": SIGNED}, lambda x: ~(x > 0)),
    Case("cast_int", lambda x: mb.cast(x=x, dtype="int32"), {"x": SIGNED}, lambda x: np.trunc(x)),
    Case("cast_bool", lambda x: mb.cast(x=x, dtype="bool"), {"x": INTEGERS}, lambda x: x != 0),
    Case("cast_half", lambda x: mb.cast(x=x, dtype="fp16"), {"x": SIGNED}, lambda x: x.astype(np.float16)),
    Case("clamped_relu", lambda x: mb.clamped_relu(x=x, alpha=0.2, beta=1.5), {"x": SIGNED},
         lambda x: np.minimum(np.where(x < 0, 0.2 * x, x), 1.5)),
    Case("elu", lambda x: mb.elu(x=x, alpha=0.7), {"x": SIGNED}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    Case("gelu", lambda x: mb.gelu(x=x), {"x": SIGNED}, lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))),
    Case("gelu_tanh", lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"), {"x": SIGNED},
         lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    Case("gelu_sigmoid", lambda x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"), {"x": SIGNED},
         lambda x: x * sigmoid(1.702 * x)),
    Case("leaky_relu", lambda x: mb.leaky_relu(x=x, alpha=0.1), {"x": SIGNED}, lambda x: np.where(x < 0, 0.1 * x, x)),
    Case("linear_activation", lambda x: mb.linear_activation(x=x, alpha=2.0, beta=-1.0), {"x": SIGNED},
         lambda x: 2 * x - 1),
    Case("prelu", lambda x: mb.prelu(x=x, alpha=np.array([0.1, 0.2, 0.3], np.float32)), {"x": SIGNED[..., None]},
         lambda x: np.where(x < 0, x * np.array([0.1, 0.2, 0.3])[:, None, None], x)),
    Case("scaled_tanh", lambda x: mb.scaled_tanh(x=x, alpha=1.7, beta=0.6), {"x": SIGNED},
         lambda x: 1.7 * np.tanh(0.6 * x)),
    Case("sigmoid_hard", lambda x: mb.sigmoid_hard(x=x, alpha=0.2, beta=0.5), {"x": SIGNED},
         lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    Case("softplus_parametric", lambda x: mb.softplus_parametric(
        x=x, alpha=np.array([1, 2, 3], np.float32), beta=np.array([0.5, 1, 2], np.float32)), {"x": SIGNED},
         lambda x: np.array([1, 2, 3])[:, None] * np.log1p(np.exp(np.array([0.5, 1, 2])[:, None] * x))),
    Case("thresholded_relu", lambda x: mb.thresholded_relu(x=x, alpha=0.5), {"x": SIGNED},
         lambda x: np.where(x < 0.5, 0, x)),
    Case("softmax", lambda x: mb.softmax(x=x, axis=1), {"x": SIGNED * 10},
         lambda x: np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)),
    Case("softmax_last", lambda x: mb.softmax(x=x), {"x": SIGNED},
         lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
]  # fmt: skip


@pytest.mark.parametrize("case", WITH_PARAMETERS, ids=lambda case: case.name)
def test_unary_with_parameters(case):
    check(case)


BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": np.true_divide, "maximum": np.maximum,
    "minimum": np.minimum, "floor_div": np.floor_divide, "mod": np.mod, "equal": np.equal,
    "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
    "less_equal": np.less_equal,
}  # fmt: skip
SHAPES = [((2, 3, 5), (2, 3, 5)), ((2, 3, 5), (5,)), ((3, 1), (2, 1, 4)), ((1,), (4, 3)), ((2, 2), (1, 1))]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["add", "real_div", "less"])
def test_binary_broadcasting(name, shapes, dtype):
    x, y = (RNG.uniform(0.5, 2, shape).astype(dtype) for shape in shapes)
    check(Case(name, getattr(mb, name), {"x": x, "y": y}, BINARY[name]))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    x = RNG.uniform(-5, 5, (3, 4)).astype(np.float32)
    y = np.round(RNG.uniform(1, 3, (3, 4)) * RNG.choice([-1, 1], (3, 4))).astype(np.float32)
    check(Case(name, getattr(mb, name), {"x": x, "y": y}, BINARY[name]))


@pytest.mark.parametrize("name", [n for n in BINARY if n != "real_div"])
def test_binary_integers(name):
    y = np.array([[1, -1, 2, -2], [3, -3, 7, -7], [5, 9, -4, 1]], np.int32)
    check(Case(name, getattr(mb, name), {"x": INTEGERS, "y": y}, BINARY[name]))


@pytest.mark.parametrize("name", ["floor_div", "mod"])
def test_integer_division_by_zero_does_not_trap(name):
    x, y = np.array([7, -(2**31), 0], np.int32), np.array([0, -1, 0], np.int32)
    check(Case(name, getattr(mb, name), {"x": x, "y": y},
               lambda x, y: np.array([0, -(2**31) if name == "floor_div" else 0, 0])))  # fmt: skip


def test_pow():
    x = np.array([0.5, 2, 3, -2], np.float32)
    check(Case("pow", mb.pow, {"x": x, "y": np.array([2, -1, 0.5, 3], np.float32)}, np.power))
    check(Case("pow", mb.pow, {"x": np.array([2, 3, -2, 1, 5], np.int32), "y": np.array([10, 2, 3, -4, -1], np.int32)},
               lambda x, y: np.array([1024, 9, -8, 1, 0])))  # fmt: skip
    x, y = np.array([0, 0, 0, -1, -1, 2, 10], np.int32), np.array([0, -1, -2, -3, -2, 31, 10], np.int32)
    check(
        Case("pow", mb.pow, {"x": x, "y": y}, lambda x, y: np.array([1, 0, 0, -1, 1, -(2**31), 1410065408]))
    )


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logical(name):
    def op(x, y):
        return getattr(mb, name)(x=mb.greater(x=x, y=np.int32(0)), y=mb.greater(x=y, y=np.int32(0)))

    x, y = np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32)
    check(Case(name, op, {"x": x, "y": y}, lambda x, y: getattr(np, name)(x > 0, y > 0)))


def test_half_precision_is_rounded_once_an_op():
    """2048 + 1 is no float16: each addition loses it, as on a device."""
    x = np.array([2048], np.float16)
    one = np.float16(1)
    check(Case("add", lambda x: mb.add(x=mb.add(x=x, y=one), y=one), {"x": x}, lambda x: x, tolerance=0.0))


def test_half_precision_overflows_to_infinity():
    x = np.array([40000, -40000], np.float16)
    check(Case("add", lambda x: mb.add(x=x, y=x), {"x": x}, lambda x: np.array([np.inf, -np.inf])))


@pytest.mark.parametrize("opset", [ct.target.iOS15, ct.target.iOS16, ct.target.iOS18], ids=lambda t: t.name)
def test_other_opsets(opset):
    check(Case("silu", mb.silu, {"x": SIGNED}, lambda x: x * sigmoid(x), opset=opset))
