"""Random graphs of many ops, each step computed by numpy beside the builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .drawn import Draw
from .programs import Case, mb

__all__ = ["graph"]

MOST_ELEMENTS = 4096


@dataclass
class Step:
    """One op: the values it reads, and what the builder and numpy make of them."""

    reads: list[int]
    build: Callable[..., Any]
    compute: Callable[..., np.ndarray]


SMOOTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0), "abs": np.abs, "identity": lambda x: x,
}  # fmt: skip
PAIRS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}


def _unary(draw: Draw, pool: list[np.ndarray]) -> Step:
    name = draw.choice(sorted(SMOOTH))
    return Step([draw.integer(0, len(pool) - 1)], lambda x: getattr(mb, name)(x=x), SMOOTH[name])


def _pair(draw: Draw, pool: list[np.ndarray]) -> Step | None:
    name = draw.choice(sorted(PAIRS))
    a, b = (draw.integer(0, len(pool) - 1) for _ in range(2))
    try:
        np.broadcast_shapes(pool[a].shape, pool[b].shape)
    except ValueError:
        return None
    return Step([a, b], lambda x, y: getattr(mb, name)(x=x, y=y), PAIRS[name])


def _transpose(draw: Draw, pool: list[np.ndarray]) -> Step | None:
    at = draw.integer(0, len(pool) - 1)
    if pool[at].ndim < 2:
        return None
    perm = [int(p) for p in draw.permutation(pool[at].ndim)]
    return Step([at], lambda x: mb.transpose(x=x, perm=perm), lambda x: np.transpose(x, perm))


def _reduce(draw: Draw, pool: list[np.ndarray]) -> Step:
    at, keep = draw.integer(0, len(pool) - 1), draw.flag()
    keep = keep or pool[at].ndim == 1
    axes = draw.axes(pool[at].ndim) if keep else [draw.axis(pool[at].ndim)]
    return Step([at], lambda x: mb.reduce_mean(x=x, axes=axes, keep_dims=keep),
                lambda x: x.mean(tuple(axes), keepdims=keep))  # fmt: skip


def _slice(draw: Draw, pool: list[np.ndarray]) -> Step:
    at = draw.integer(0, len(pool) - 1)
    shape = pool[at].shape
    begin = [draw.integer(0, n - 1) for n in shape]
    stride = [draw.integer(1, 2) for _ in shape]
    key = tuple(slice(b, None, s) for b, s in zip(begin, stride, strict=True))
    return Step([at], lambda x: mb.slice_by_index(x=x, begin=begin, end=[0] * len(shape), stride=stride,
                                                  end_mask=[True] * len(shape)), lambda x: x[key])  # fmt: skip


def _concat(draw: Draw, pool: list[np.ndarray]) -> Step:
    at = draw.integer(0, len(pool) - 1)
    axis = draw.axis(pool[at].ndim)
    return Step(
        [at, at], lambda x, y: mb.concat(values=[x, y], axis=axis), lambda x, y: np.concatenate([x, y], axis)
    )


def _reshape(draw: Draw, pool: list[np.ndarray]) -> Step:
    at = draw.integer(0, len(pool) - 1)
    shape = pool[at].shape
    target = [shape[0], -1] if draw.flag() else [-1]
    return Step([at], lambda x: mb.reshape(x=x, shape=target), lambda x: x.reshape(target))


def _linear(draw: Draw, pool: list[np.ndarray]) -> Step:
    at = draw.integer(0, len(pool) - 1)
    weight = draw.floats((draw.integer(1, 6), pool[at].shape[-1]), low=-0.5, high=0.5)
    rank = pool[at].ndim
    if rank > 4:
        return _unary(draw, pool)
    return Step([at], lambda x: mb.linear(x=x, weight=weight), lambda x: x @ weight.T.astype(np.float64))


def _softmax(draw: Draw, pool: list[np.ndarray]) -> Step:
    at = draw.integer(0, len(pool) - 1)
    axis = draw.axis(pool[at].ndim)

    def compute(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    return Step([at], lambda x: mb.softmax(x=x, axis=axis), compute)


KINDS = [_unary, _pair, _pair, _transpose, _reduce, _slice, _concat, _reshape, _linear, _softmax]


def graph(draw: Draw) -> Case:
    """2 to 12 ops over a growing pool of values; the outputs are the last values."""
    inputs = {f"x{i}": draw.floats(draw.shape(1, 4), low=-2, high=2) for i in range(draw.integer(1, 3))}
    pool = [x.astype(np.float64) for x in inputs.values()]
    steps: list[Step] = []
    for _ in range(draw.integer(2, 12)):
        step = draw.choice(KINDS)(draw, pool)
        if step is None:
            continue
        value = step.compute(*(pool[at] for at in step.reads))
        if value.size > MOST_ELEMENTS or value.ndim == 0 or np.abs(value).max() > 1e3:
            continue
        steps.append(step)
        pool.append(value)
    outputs = min(max(1, len(steps)), draw.integer(1, 3))

    def op(**given: Any) -> list[Any]:
        values = list(given.values())
        for step in steps:
            values.append(step.build(*(values[at] for at in step.reads)))
        return values[-outputs:]

    return Case("graph", op, inputs, lambda *_: pool[-outputs:], tolerance=1e-4, constant_inputs=False)
