"""Random programs of elementwise_unary, elementwise_binary, activation and reduction ops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .drawn import Draw, Generator
from .programs import Case, mb

__all__ = ["GENERATORS"]

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


#: op -> (numpy's function of float64, lowest and highest value drawn)
UNARY: dict[str, tuple[Callable[..., Any], float, float]] = {
    "abs": (np.abs, -3, 3), "acos": (np.arccos, -0.95, 0.95), "asin": (np.arcsin, -0.95, 0.95),
    "atan": (np.arctan, -9, 9), "atanh": (np.arctanh, -0.9, 0.9), "ceil": (np.ceil, -9, 9), "cos": (np.cos, -9, 9),
    "cosh": (np.cosh, -3, 3), "erf": (erf, -4, 4), "exp": (np.exp, -5, 5), "exp2": (np.exp2, -5, 5),
    "floor": (np.floor, -9, 9), "relu": (lambda x: np.maximum(x, 0), -3, 3),
    "relu6": (lambda x: np.clip(x, 0, 6), -9, 9), "round": (np.round, -9, 9), "sigmoid": (sigmoid, -9, 9),
    "sign": (np.sign, -1, 1), "silu": (lambda x: x * sigmoid(x), -9, 9), "sin": (np.sin, -9, 9),
    "sinh": (np.sinh, -3, 3), "softplus": (lambda x: np.log1p(np.exp(x)), -9, 9),
    "softsign": (lambda x: x / (1 + np.abs(x)), -9, 9), "sqrt": (np.sqrt, 0, 9), "square": (np.square, -3, 3),
    "tan": (np.tan, -1, 1), "tanh": (np.tanh, -4, 4), "identity": (lambda x: x, -9, 9),
}  # fmt: skip


def unary(name: str) -> Generator:
    reference, low, high = UNARY[name]

    def generate(draw: Draw) -> Case:
        x = draw.floats(draw.shape(), draw.dtype(), low, high)
        return Case(name, getattr(mb, name), {"x": x}, lambda x: reference(x.astype(np.float64)))

    return generate


#: op -> (parameters, numpy's function of x and them, lowest, highest)
PARAMETRIC: dict[str, tuple[tuple[str, ...], Callable[..., Any], float, float]] = {
    "clamped_relu": (("alpha", "beta"), lambda x, a, b: np.minimum(np.where(x < 0, a * x, x), b), -3, 3),
    "elu": (("alpha",), lambda x, a: np.where(x > 0, x, a * np.expm1(x)), -3, 3),
    "leaky_relu": (("alpha",), lambda x, a: np.where(x < 0, a * x, x), -3, 3),
    "linear_activation": (("alpha", "beta"), lambda x, a, b: a * x + b, -3, 3),
    "scaled_tanh": (("alpha", "beta"), lambda x, a, b: a * np.tanh(b * x), -3, 3),
    "sigmoid_hard": (("alpha", "beta"), lambda x, a, b: np.clip(a * x + b, 0, 1), -3, 3),
    "thresholded_relu": (("alpha",), lambda x, a: np.where(x < a, 0, x), -3, 3),
    "threshold": (("alpha",), np.maximum, -3, 3),
    "inverse": (("epsilon",), lambda x, e: 1 / (x + e), 0.1, 4),
    "log": (("epsilon",), lambda x, e: np.log(x + e), 0.1, 4),
    "rsqrt": (("epsilon",), lambda x, e: 1 / np.sqrt(x + e), 0.1, 4),
}  # fmt: skip


def parametric(name: str) -> Generator:
    parameters, reference, low, high = PARAMETRIC[name]

    def generate(draw: Draw) -> Case:
        dtype = draw.dtype()
        values = [dtype(draw.integer(1, 8) / 8) for _ in parameters]
        extra = dict(zip(parameters, values, strict=True))
        x = draw.floats(draw.shape(), dtype, low, high)
        return Case(name, lambda x: getattr(mb, name)(x=x, **extra), {"x": x},
                    lambda x: reference(x.astype(np.float64), *map(float, values)))  # fmt: skip

    return generate


def clip(draw: Draw) -> Case:
    dtype = draw.dtype()
    low, high = dtype(-draw.integer(0, 8) / 4), dtype(draw.integer(1, 8) / 4)
    x = draw.floats(draw.shape(), dtype)
    return Case(
        "clip", lambda x: mb.clip(x=x, alpha=low, beta=high), {"x": x}, lambda x: np.clip(x, low, high)
    )


def gelu(draw: Draw) -> Case:
    mode = draw.choice(["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"])

    def reference(x):
        x = x.astype(np.float64)
        if mode == "EXACT":
            return 0.5 * x * (1 + erf(x / np.sqrt(2)))
        if mode == "SIGMOID_APPROXIMATION":
            return x * sigmoid(1.702 * x)
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = draw.floats(draw.shape(), draw.dtype(), -5, 5)
    return Case("gelu", lambda x: mb.gelu(x=x, mode=mode), {"x": x}, reference)


def per_channel(name: str) -> Generator:
    """prelu and softplus_parametric: parameters for axis 1."""

    def generate(draw: Draw) -> Case:
        shape, dtype = draw.shape(3, 5), draw.dtype()
        x = draw.floats(shape, dtype)
        a, b = (draw.floats(shape[1:2], dtype, 0.2, 2) for _ in range(2))
        if name == "prelu" and len(shape) != 4:  # MIL asks for it
            a = np.full_like(a, a[0])
        column = (shape[1], *[1] * (len(shape) - 2))
        if name == "prelu":
            return Case(name, lambda x: mb.prelu(x=x, alpha=a), {"x": x},
                        lambda x: np.where(x < 0, x * a.reshape(column), x))  # fmt: skip
        return Case(name, lambda x: mb.softplus_parametric(x=x, alpha=a, beta=b), {"x": x},
                    lambda x: a.reshape(column) * np.log1p(np.exp(b.reshape(column) * x.astype(np.float64))))  # fmt: skip

    return generate


def softmax(draw: Draw) -> Case:
    shape = draw.shape(1)
    axis = draw.axis(len(shape))

    def reference(x):
        e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    x = draw.floats(shape, draw.dtype(), -9, 9)
    return Case("softmax", lambda x: mb.softmax(x=x, axis=axis), {"x": x}, reference)


def cast(draw: Draw) -> Case:
    target = draw.choice(["int32", "fp16", "fp32", "bool"])
    x = draw.integers(draw.shape()) if draw.flag() else draw.floats(draw.shape(), draw.dtype())
    kind = {"int32": np.int32, "fp16": np.float16, "fp32": np.float32, "bool": np.bool_}[target]
    return Case("cast", lambda x: mb.cast(x=x, dtype=target), {"x": x}, lambda x: x.astype(kind))


BINARY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": np.true_divide, "maximum": np.maximum,
    "minimum": np.minimum, "floor_div": np.floor_divide, "mod": np.mod, "equal": np.equal,
    "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
    "less_equal": np.less_equal,
}  # fmt: skip


def binary(name: str) -> Generator:
    divides = name in ("floor_div", "mod", "real_div")

    def generate(draw: Draw) -> Case:
        left, right = draw.broadcast_pair()
        if draw.flag() and name != "real_div":
            x, y = draw.integers(left), draw.integers(right)
            if divides:
                y = np.where(y == 0, 7, y).astype(np.int32)
        else:
            # Multiples of 1/4: comparisons meet equal values, and quotients do not hang on the last bit.
            dtype = draw.dtype()
            x, y = ((draw.integers(s, -12, 12) / 4).astype(dtype) for s in (left, right))
            if divides:
                y = np.where(y == 0, dtype(0.5), y).astype(dtype)
        wide = np.int32 if x.dtype == np.int32 else np.float64
        return Case(name, getattr(mb, name), {"x": x, "y": y},
                    lambda x, y: BINARY[name](x.astype(wide), y.astype(wide)))  # fmt: skip

    return generate


def power(draw: Draw) -> Case:
    left, right = draw.broadcast_pair()
    dtype = draw.dtype()
    return Case("pow", mb.pow, {"x": draw.floats(left, dtype, 0.2, 3), "y": draw.floats(right, dtype, -2, 2)},
                lambda x, y: x.astype(np.float64) ** y.astype(np.float64))  # fmt: skip


def logical(name: str) -> Generator:
    def generate(draw: Draw) -> Case:
        left, right = draw.broadcast_pair()
        zero = np.int32(0)

        def op(x, y):
            return getattr(mb, name)(x=mb.greater(x=x, y=zero), y=mb.greater(x=y, y=zero))

        return Case(name, op, {"x": draw.integers(left), "y": draw.integers(right)},
                    lambda x, y: getattr(np, name)(x > 0, y > 0))  # fmt: skip

    return generate


def logical_not(draw: Draw) -> Case:
    return Case("logical_not", lambda x: mb.logical_not(x=mb.greater(x=x, y=np.int32(0))),
                {"x": draw.integers(draw.shape())}, lambda x: ~(x > 0))  # fmt: skip


def select(draw: Draw) -> Case:
    shape, dtype = draw.shape(), draw.dtype()
    return Case("select", lambda c, a, b: mb.select(cond=mb.greater(x=c, y=np.int32(0)), a=a, b=b),
                {"c": draw.integers(shape), "a": draw.floats(shape, dtype), "b": draw.floats(shape, dtype)},
                lambda c, a, b: np.where(c > 0, a, b), constant_inputs=False)  # fmt: skip


def _log_sum_exp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduce_l1_norm": lambda x, **k: np.abs(x).sum(**k), "reduce_l2_norm": lambda x, **k: np.sqrt((x * x).sum(**k)),
    "reduce_log_sum": lambda x, **k: np.log(x.sum(**k)), "reduce_log_sum_exp": _log_sum_exp,
    "reduce_max": np.max, "reduce_mean": np.mean, "reduce_min": np.min, "reduce_prod": np.prod,
    "reduce_sum": np.sum, "reduce_sum_square": lambda x, **k: (x * x).sum(**k),
}  # fmt: skip


def reduction(name: str) -> Generator:
    def generate(draw: Draw) -> Case:
        shape, keep = draw.shape(1), draw.flag()
        axes = draw.axes(len(shape)) if draw.flag() else None
        if draw.flag() and name in ("reduce_max", "reduce_min", "reduce_sum"):
            x = draw.integers(shape)
        else:
            x = draw.floats(
                shape, draw.dtype(), 0.5 if name in ("reduce_log_sum", "reduce_prod") else -2, 1.5
            )
        extra: dict[str, Any] = {} if axes is None else {"axes": axes}
        over = None if axes is None else tuple(axes)
        return Case(name, lambda x: getattr(mb, name)(x=x, keep_dims=keep, **extra), {"x": x},
                    lambda x: REDUCTIONS[name](x.astype(np.float64), axis=over, keepdims=keep))  # fmt: skip

    return generate


def argument(name: str) -> Generator:
    def generate(draw: Draw) -> Case:
        shape, keep = draw.shape(1), draw.flag()
        axis = draw.axis(len(shape))
        pick = np.argmax if name.endswith("max") else np.argmin
        x = draw.distinct(shape, draw.choice([np.float32, np.int32]))
        return Case(name, lambda x: getattr(mb, name)(x=x, axis=axis, keep_dims=keep), {"x": x},
                    lambda x: np.expand_dims(pick(x, axis), axis) if keep else pick(x, axis))  # fmt: skip

    return generate


GENERATORS: dict[str, Generator] = {
    **{name: unary(name) for name in UNARY},
    **{name: parametric(name) for name in PARAMETRIC},
    **{name: binary(name) for name in BINARY},
    **{name: reduction(name) for name in REDUCTIONS},
    **{name: logical(name) for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: per_channel(name) for name in ("prelu", "softplus_parametric")},
    **{name: argument(name) for name in ("reduce_argmax", "reduce_argmin")},
    "cast": cast, "clip": clip, "gelu": gelu, "logical_not": logical_not, "pow": power, "select": select,
    "softmax": softmax,
}  # fmt: skip
