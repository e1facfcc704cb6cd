"""Random programs of linear, conv, pool, normalization, scatter_gather and spatial ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from .drawn import Draw, Generator
from .programs import Case, ct, mb
from .references import attention, convolved, normalised, transposed, windows

__all__ = ["GENERATORS"]

EPSILON = 1e-3


def linear(draw: Draw) -> Case:
    shape, dtype, out = draw.shape(1, 3), draw.dtype(), draw.integer(1, 20)
    weight, bias = draw.floats((out, shape[-1]), dtype, -1, 1), draw.floats((out,), dtype)
    extra = {"bias": bias} if draw.flag() else {}
    return Case("linear", lambda x: mb.linear(x=x, weight=weight, **extra), {"x": draw.floats(shape, dtype)},
                lambda x: x.astype(np.float64) @ weight.T + extra.get("bias", 0))  # fmt: skip


def matmul(draw: Draw) -> Case:
    left, right = draw.broadcast_pair()
    left, right = left[-3:], right[-3:]
    rows, inner, columns = (draw.integer(1, 9) for _ in range(3))
    dtype, flip_x, flip_y = draw.dtype(), draw.flag(), draw.flag()
    x = draw.floats((*left, *((inner, rows) if flip_x else (rows, inner))), dtype)
    y = draw.floats((*right, *((columns, inner) if flip_y else (inner, columns))), dtype)

    def reference(x, y):
        x = x.swapaxes(-1, -2) if flip_x else x
        return x.astype(np.float64) @ (y.swapaxes(-1, -2) if flip_y else y)

    return Case("matmul", lambda x, y: mb.matmul(x=x, y=y, transpose_x=flip_x, transpose_y=flip_y), {"x": x, "y": y},
                reference)  # fmt: skip


def einsum(draw: Draw) -> Case:
    equation, dtype = draw.choice(["nchw,nwhu->nchu", "chw,whu->chu"]), draw.dtype()
    sizes = {axis: draw.integer(1, 5) for axis in "nchwu"}
    x, y = (draw.floats([sizes[k] for k in part], dtype) for part in equation.split("->")[0].split(","))
    return Case("einsum", lambda x, y: mb.einsum(values=(x, y), equation=equation), {"x": x, "y": y},
                lambda x, y: np.einsum(equation, x.astype(np.float64), y))  # fmt: skip


def same_padding(n: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    total = max(0, (-(-n // stride) - 1) * stride + (kernel - 1) * dilation + 1 - n)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def paddings(
    draw: Draw, lengths: Any, kernel: Any, strides: Any, dilations: Any
) -> tuple[dict[str, Any], Any]:
    """pad_type and pad as the op takes them, and (before, after) of each axis."""
    kind = draw.choice(["valid", "custom", "same", "same_lower"])
    if kind == "custom":
        pad = [draw.integer(0, k - 1) for k in kernel for _ in range(2)]
        return {"pad_type": kind, "pad": pad}, list(zip(pad[::2], pad[1::2], strict=True))
    if kind == "valid":
        return {"pad_type": kind}, [(0, 0)] * len(kernel)
    each = zip(lengths, kernel, strides, dilations, strict=True)
    return {"pad_type": kind}, [same_padding(*axis, kind == "same_lower") for axis in each]


def conv(draw: Draw) -> Case:
    axes, groups, dtype = draw.integer(1, 3), draw.integer(1, 3), draw.dtype()
    kernel = [draw.integer(1, 3) for _ in range(axes)]
    strides, dilations = ([draw.integer(1, 2) for _ in range(axes)] for _ in range(2))
    lengths = [(k - 1) * d + draw.integer(1, 5) for k, d in zip(kernel, dilations, strict=True)]
    channels, out = groups * draw.integer(1, 3), groups * draw.integer(1, 3)
    weight, bias = draw.floats((out, channels // groups, *kernel), dtype, -1, 1), draw.floats((out,), dtype)
    extra, around = paddings(draw, lengths, kernel, strides, dilations)
    before, after = zip(*around, strict=True)

    def reference(x):
        return convolved(x, weight, strides, before, after, dilations, groups) + bias.reshape(-1, *[1] * axes)

    return Case("conv", lambda x: mb.conv(x=x, weight=weight, bias=bias, strides=strides, dilations=dilations,
                                          groups=groups, **extra),
                {"x": draw.floats((draw.batch(), channels, *lengths), dtype)}, reference)  # fmt: skip


def conv_transpose(draw: Draw) -> Case:
    axes, groups, dtype = draw.integer(1, 3), draw.integer(1, 2), draw.dtype()
    kernel = [draw.integer(1, 4) for _ in range(axes)]
    strides, dilations = ([draw.integer(1, 3) for _ in range(axes)] for _ in range(2))
    lengths = [draw.integer(2, 5) for _ in range(axes)]
    channels = groups * draw.integer(1, 3)
    weight = draw.floats((channels, draw.integer(1, 3), *kernel), dtype, -1, 1)
    pad = [draw.integer(0, 1) if k > 1 else 0 for k in kernel for _ in range(2)]
    pad = [0] * len(pad) if draw.flag() else pad

    def reference(x):
        whole = transposed(x, weight, strides, dilations, groups)
        key = [slice(pad[2 * i], whole.shape[2 + i] - pad[2 * i + 1]) for i in range(axes)]
        return whole[(slice(None), slice(None), *key)]

    return Case("conv_transpose", lambda x: mb.conv_transpose(x=x, weight=weight, strides=strides, dilations=dilations,
                                                              groups=groups, pad_type="custom", pad=pad),
                {"x": draw.floats((draw.batch(1), channels, *lengths), dtype)}, reference)  # fmt: skip


def pool(name: str) -> Generator:
    def generate(draw: Draw) -> Case:
        most_axes = 2 if name == "l2_pool" else 3  # the builder knows no other
        count, longest = draw.integer(1, most_axes), draw.choice([3, 9])
        kernel, strides = ([draw.integer(1, most) for _ in range(count)] for most in (longest, 3))
        axes = tuple(range(-count, 0))
        lengths = [k + draw.integer(0, 5) for k in kernel]
        extra, around = paddings(draw, lengths, kernel, strides, [1] * count)
        left_out = name == "avg_pool" and draw.flag()
        if left_out:
            extra["exclude_padding_from_average"] = True
        x = draw.floats((draw.batch(1), draw.integer(1, 3), *lengths), draw.dtype())

        def reference(x):
            wide = [(0, 0), (0, 0), *around]
            fill = -np.inf if name == "max_pool" else 0
            parts = windows(np.pad(x.astype(np.float64), wide, constant_values=fill), tuple(kernel), strides)
            if name == "max_pool":
                return parts.max(axes)
            if name == "l2_pool":
                return np.sqrt((parts**2).sum(axes))
            counts = windows(np.pad(np.ones(x.shape), wide), tuple(kernel), strides).sum(axes)
            return parts.sum(axes) / (counts if left_out else np.prod(kernel))

        return Case(name, lambda x: getattr(mb, name)(x=x, kernel_sizes=kernel, strides=strides, **extra), {"x": x},
                    reference)  # fmt: skip

    return generate


def layer_norm(draw: Draw) -> Case:
    shape, dtype = draw.shape(1, 5), draw.dtype()
    count = draw.integer(1, len(shape))
    axes = [a - len(shape) if draw.flag() else a for a in range(len(shape) - count, len(shape))]
    tail = shape[len(shape) - count :]
    gamma, beta = draw.floats(tail, dtype), draw.floats(tail, dtype)
    extra = {"gamma": gamma, "beta": beta} if draw.flag() else {}

    def reference(x):
        y = normalised(x, tuple(axes), EPSILON)
        return y * gamma + beta if extra else y

    return Case("layer_norm", lambda x: mb.layer_norm(x=x, axes=axes, epsilon=dtype(EPSILON), **extra),
                {"x": draw.floats(shape, dtype)}, reference, tolerance=2e-3 if dtype == np.float16 else 5e-5)  # fmt: skip


def instance_norm(draw: Draw) -> Case:
    shape, dtype = draw.shape(3, 4), draw.dtype()
    gamma, beta = draw.floats(shape[1:2], dtype), draw.floats(shape[1:2], dtype)
    column, spatial = (-1, *[1] * (len(shape) - 2)), tuple(range(2, len(shape)))
    return Case("instance_norm", lambda x: mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=dtype(EPSILON)),
                {"x": draw.floats(shape, dtype)},
                lambda x: normalised(x, spatial, EPSILON) * gamma.reshape(column) + beta.reshape(column),
                tolerance=2e-3 if dtype == np.float16 else 5e-5)  # fmt: skip


def batch_norm(draw: Draw) -> Case:
    shape, dtype = draw.shape(3, 5), draw.dtype()
    mean, variance, gamma, beta = (draw.floats(shape[1:2], dtype, 0.2, 2) for _ in range(4))
    column = (-1, *[1] * (len(shape) - 2))

    def reference(x):
        m, v, g, b = (p.astype(np.float64).reshape(column) for p in (mean, variance, gamma, beta))
        return (x - m) / np.sqrt(v + EPSILON) * g + b

    return Case("batch_norm", lambda x: mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta,
                                                      epsilon=dtype(EPSILON)), {"x": draw.floats(shape, dtype)}, reference)  # fmt: skip


def l2_norm(draw: Draw) -> Case:
    dtype = draw.dtype()
    x = draw.floats(draw.shape(3, 5), dtype, 0.1, 2)

    def reference(x):
        x = x.astype(np.float64)
        return x / np.sqrt((x**2).sum((-3, -2, -1), keepdims=True) + EPSILON)

    return Case("l2_norm", lambda x: mb.l2_norm(x=x, epsilon=dtype(EPSILON)), {"x": x}, reference)


def local_response_norm(draw: Draw) -> Case:
    shape, size = draw.shape(3, 5), draw.choice([1, 3, 5])

    def reference(x):
        x = x.astype(np.float64)
        padded = np.pad(x**2, [(0, 0), (size // 2, size // 2), *[(0, 0)] * (x.ndim - 2)])
        return x / (2 + 0.5 / size * sum(padded[:, i : i + x.shape[1]] for i in range(size))) ** 0.75

    return Case("local_response_norm", lambda x: mb.local_response_norm(x=x, size=size, alpha=0.5, beta=0.75, k=2.0),
                {"x": draw.floats(shape)}, reference)  # fmt: skip


def blocks(name: str) -> Generator:
    """Ops that trade channels for pixels: the order of channels is what tells them apart."""

    def generate(draw: Draw) -> Case:
        n, c, h, w, r = (
            draw.batch(),
            draw.integer(1, 3),
            draw.integer(1, 3),
            draw.integer(1, 3),
            draw.integer(2, 3),
        )
        apart = name in ("space_to_depth", "pixel_unshuffle")
        x = draw.floats((n, c, h * r, w * r) if apart else (n, c * r * r, h, w), draw.dtype())
        order = {"pixel_shuffle": (0, 1, 4, 2, 5, 3), "pixel_unshuffle": (0, 1, 3, 5, 2, 4),
                 "depth_to_space": (0, 3, 4, 1, 5, 2), "space_to_depth": (0, 3, 5, 1, 2, 4)}[name]  # fmt: skip
        split = (
            (n, c, h, r, w, r)
            if apart
            else ((n, c, r, r, h, w) if name == "pixel_shuffle" else (n, r, r, c, h, w))
        )
        joined = (n, c * r * r, h, w) if apart else (n, c, h * r, w * r)
        key = {"pixel_shuffle": "upscale_factor", "pixel_unshuffle": "downscale_factor"}.get(
            name, "block_size"
        )
        factor = np.uint32(r) if name == "pixel_unshuffle" else r
        return Case(name, lambda x: getattr(mb, name)(x=x, **{key: factor}), {"x": x},
                    lambda x: x.reshape(split).transpose(order).reshape(joined))  # fmt: skip

    return generate


def gather(draw: Draw) -> Case:
    shape = draw.shape(1, 3)
    axis = draw.axis(len(shape))
    n = shape[axis]
    i = draw.integers(draw.shape(1, 2), -n, n - 1)
    return Case("gather", lambda x, i: mb.gather(x=x, indices=i, axis=axis), {"x": draw.floats(shape, draw.dtype()), "i": i},
                lambda x, i: np.take(x, i % n, axis))  # fmt: skip


def gather_along_axis(draw: Draw) -> Case:
    shape = draw.shape(1, 4)
    axis = draw.axis(len(shape))
    other = list(shape)
    other[axis] = draw.integer(1, 5)
    i = draw.integers(other, -shape[axis], shape[axis] - 1)
    return Case("gather_along_axis", lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=axis),
                {"x": draw.floats(shape), "i": i}, lambda x, i: np.take_along_axis(x, i % shape[axis], axis))  # fmt: skip


def gather_nd(draw: Draw) -> Case:
    shape = draw.shape(1, 4)
    depth = draw.integer(1, len(shape))
    i = np.stack([draw.integers((3, 2), 0, n - 1) for n in shape[:depth]], -1)
    return Case("gather_nd", lambda x, i: mb.gather_nd(x=x, indices=i), {"x": draw.floats(shape), "i": i},
                lambda x, i: x[tuple(np.moveaxis(i, -1, 0))])  # fmt: skip


MODES = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def put(out: np.ndarray, key: Any, updates: np.ndarray, mode: str) -> np.ndarray:
    if mode == "update":
        out[key] = updates
    else:
        MODES[mode].at(out, key, updates)
    return out


def scatter(draw: Draw) -> Case:
    shape, mode = draw.shape(1, 3), draw.choice([*MODES, "update"])
    axis = draw.axis(len(shape)) % len(shape)
    count = draw.integer(1, shape[axis])
    i = draw.permutation(shape[axis])[:count].astype(np.int32)
    updates = draw.floats((*shape[:axis], count, *shape[axis + 1 :]))
    return Case("scatter", lambda data, i, u: mb.scatter(data=data, indices=i, updates=u, axis=axis, mode=mode),
                {"data": draw.floats(shape), "i": i, "u": updates},
                lambda data, i, u: put(data.copy(), (*[slice(None)] * axis, i), u, mode))  # fmt: skip


def scatter_along_axis(draw: Draw) -> Case:
    shape, mode = draw.shape(1, 3), draw.choice([*MODES, "update"])
    axis = draw.axis(len(shape)) % len(shape)
    order = np.argsort(draw.floats(shape), axis)  # no index twice, so that "update" has one answer
    count = draw.integer(1, shape[axis])
    i = np.take(order, range(count), axis).astype(np.int32)

    def reference(data, i, u):
        key = list(np.ogrid[tuple(slice(n) for n in i.shape)])
        key[axis] = i
        return put(data.copy(), tuple(key), u, mode)

    return Case("scatter_along_axis", lambda data, i, u: mb.scatter_along_axis(
        data=data, indices=i, updates=u, axis=axis, mode=mode),
        {"data": draw.floats(shape), "i": i, "u": draw.floats(i.shape)}, reference)  # fmt: skip


def scatter_nd(draw: Draw) -> Case:
    shape, mode = draw.shape(1, 3), draw.choice(["add", "sub", "update"])
    places = draw.permutation(shape[0])[: draw.integer(1, shape[0])].astype(np.int32)[:, None]
    u = draw.floats((len(places), *shape[1:]))
    return Case("scatter_nd", lambda data, i, u: mb.scatter_nd(data=data, indices=i, updates=u, mode=mode),
                {"data": draw.floats(shape), "i": places, "u": u},
                lambda data, i, u: put(data.copy(), (i[:, 0],), u, mode))  # fmt: skip


def scaled_dot_product_attention(draw: Draw) -> Case:
    batch, dtype = draw.shape(1, 2, 3), draw.dtype()
    queries, keys, width, out = (draw.integer(1, 9) for _ in range(4))
    q, k, v = (draw.floats((*batch, *tail), dtype) for tail in [(queries, width), (keys, width), (keys, out)])
    mask = draw.floats((queries, keys), dtype) if draw.flag() else None

    def op(q, k, v):
        return mb.scaled_dot_product_attention(
            query=q, key=k, value=v, **({} if mask is None else {"attn_mask": mask})
        )

    return Case("scaled_dot_product_attention", op, {"q": q, "k": k, "v": v},
                lambda q, k, v: attention(q, k, v, 0 if mask is None else mask), opset=ct.target.iOS18)  # fmt: skip


def batch_to_space(draw: Draw) -> Case:
    r, n, c, h, w = (draw.integer(1, 3) for _ in range(5))
    x = draw.floats((r * r * n, c, h, w))

    def reference(x):
        return x.reshape(r, r, n, c, h, w).transpose(2, 3, 4, 0, 5, 1).reshape(n, c, h * r, w * r)

    return Case("batch_to_space", lambda x: mb.batch_to_space(x=x, block_shape=[r, r], crops=np.zeros((2, 2), np.int32)),
                {"x": x}, reference)  # fmt: skip


def space_to_batch(draw: Draw) -> Case:
    r, n, c, h, w = (draw.integer(1, 3) for _ in range(5))
    x = draw.floats((n, c, h * r, w * r))

    def reference(x):
        return x.reshape(n, c, h, r, w, r).transpose(3, 5, 0, 1, 2, 4).reshape(r * r * n, c, h, w)

    return Case("space_to_batch", lambda x: mb.space_to_batch(x=x, block_shape=[r, r], paddings=np.zeros((2, 2), np.int32)),
                {"x": x}, reference)  # fmt: skip


def quantized(name: str) -> Generator:
    """quantize, or dequantize of what it yields; scales are powers of two, so that rounding has one answer."""

    def generate(draw: Draw) -> Case:
        shape, kind = draw.shape(1, 4), draw.choice(["int8", "uint8"])
        axis = draw.axis(len(shape)) if draw.flag() else None
        count = () if axis is None else (shape[axis],)
        scale = (2.0 ** draw.integers(count, -6, -2)).astype(np.float32)
        extra: dict[str, Any] = {"scale": scale} if axis is None else {"scale": scale, "axis": axis}
        low, high = (-128, 127) if kind == "int8" else (0, 255)
        zero = draw.integers(count, 0, 9).astype(kind)
        column = [1] * len(shape)
        if axis is not None:
            column[axis] = -1
        if draw.flag():
            extra["zero_point"] = zero
        shift = extra.get("zero_point", np.zeros(count)).astype(np.float64).reshape(column)

        def op(x):
            packed = mb.quantize(input=x, output_dtype=kind, **extra)
            return packed if name == "quantize" else mb.dequantize(input=packed, **extra)

        def reference(x):
            packed = np.clip(np.round(x / scale.reshape(column)) + shift, low, high)
            return packed if name == "quantize" else (packed - shift) * scale.reshape(column)

        return Case(name, op, {"x": draw.floats(shape, low=-9, high=9)}, reference)

    return generate


GENERATORS: dict[str, Generator] = {
    **{name: pool(name) for name in ("avg_pool", "l2_pool", "max_pool")},
    **{name: blocks(name) for name in ("depth_to_space", "pixel_shuffle", "pixel_unshuffle", "space_to_depth")},
    **{name: quantized(name) for name in ("dequantize", "quantize")},
    **{each.__name__: each
       for each in (batch_norm, batch_to_space, conv, conv_transpose, einsum, gather, gather_along_axis, gather_nd,
                    instance_norm, l2_norm, layer_norm, linear, local_response_norm, matmul, scaled_dot_product_attention, scatter, scatter_along_axis, scatter_nd,
                    space_to_batch)},
}  # fmt: skip
