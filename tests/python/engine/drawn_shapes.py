"""Random programs of tensor_operation, tensor_transformation and scatter_gather ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from .drawn import Draw, Generator
from .programs import Case, ct, mb

__all__ = ["GENERATORS"]


def any_array(draw: Draw, shape: tuple[int, ...]) -> np.ndarray:
    return draw.integers(shape) if draw.integer(0, 2) == 2 else draw.floats(shape, draw.dtype())


def argsort(draw: Draw) -> Case:
    shape, ascending = draw.shape(1), draw.flag()
    axis = draw.axis(len(shape))
    return Case("argsort", lambda x: mb.argsort(x=x, axis=axis, ascending=ascending), {"x": draw.distinct(shape)},
                lambda x: np.argsort(x if ascending else -x, axis, kind="stable"))  # fmt: skip


def band_part(draw: Draw) -> Case:
    lower, upper = draw.integer(-1, 4), draw.integer(-1, 4)

    def reference(x):
        row, column = np.indices(x.shape[-2:])
        kept = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
        return np.where(kept, x, 0)

    x = any_array(draw, draw.shape(2))
    return Case("band_part", lambda x: mb.band_part(x=x, lower=lower, upper=upper), {"x": x}, reference)


def concat(draw: Draw) -> Case:
    shape = draw.shape(1)
    axis, dtype = draw.axis(len(shape)), draw.dtype()
    lengths = [draw.integer(1, 4) for _ in range(draw.integer(1, 4))]
    interleave = len(set(lengths)) == 1 and draw.flag()
    parts = {f"x{i}": draw.floats((*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :]), dtype)
             for i, n in enumerate(lengths)}  # fmt: skip

    def reference(*parts):
        if not interleave:
            return np.concatenate(parts, axis)
        stacked = np.stack(parts, axis % len(shape) + 1)
        return stacked.reshape(*shape[: axis % len(shape)], -1, *shape[axis % len(shape) + 1 :])

    return Case("concat", lambda **parts: mb.concat(values=list(parts.values()), axis=axis, interleave=interleave),
                parts, reference)  # fmt: skip


def cumsum(draw: Draw) -> Case:
    shape, exclusive, backwards = draw.shape(1), draw.flag(), draw.flag()
    axis = max(-1, draw.axis(len(shape)))  # coremltools takes no other negative axis

    def reference(x):
        x = np.flip(x, axis) if backwards else x
        total = np.cumsum(x, axis) - (x if exclusive else 0)
        return np.flip(total, axis) if backwards else total

    return Case("cumsum", lambda x: mb.cumsum(x=x, axis=axis, exclusive=exclusive, reverse=backwards),
                {"x": draw.integers(shape).astype(np.float32)}, reference)  # fmt: skip


def fill(draw: Draw) -> Case:
    shape, value = draw.shape(1), draw.choice([np.float32(1.5), np.float16(-2), np.int32(7)])
    return Case("fill", lambda s: mb.fill(shape=s, value=value), {"s": np.array(shape, np.int32)},
                lambda s: np.full(s, value))  # fmt: skip


def fill_like(draw: Draw) -> Case:
    value = draw.choice([np.float32(1.5), np.float16(-2), np.int32(7)])
    return Case("fill_like", lambda x: mb.fill_like(ref_tensor=x, value=value), {"x": draw.floats(draw.shape(1))},
                lambda x: np.full(x.shape, value), opset=ct.target.iOS16)  # fmt: skip


def non_zero(draw: Draw) -> Case:
    x = draw.integers(draw.shape(1, 4), -1, 1)
    return Case("non_zero", lambda x: mb.non_zero(x=x), {"x": x}, lambda x: np.argwhere(x))


def one_hot(draw: Draw) -> Case:
    shape, size = draw.shape(1, 4), draw.integer(1, 6)
    axis = draw.integer(-len(shape) - 1, len(shape))
    on, off = np.float32(2), np.float32(-0.5)

    def reference(i):
        hot = np.where(i[..., None] == np.arange(size), on, off)
        return np.moveaxis(hot, -1, axis)

    return Case("one_hot", lambda i: mb.one_hot(indices=i, one_hot_vector_size=size, axis=axis, on_value=on,
                                                off_value=off), {"i": draw.integers(shape, 0, size - 1)}, reference)  # fmt: skip


def pad(draw: Draw) -> Case:
    shape, mode = draw.shape(1, 4), draw.choice(["constant", "reflect", "replicate"])
    padded = draw.integer(1, min(2, len(shape)) if mode != "constant" else len(shape))
    most = [n - 1 if mode == "reflect" else 3 for n in shape[len(shape) - padded :]]
    widths = [draw.integer(0, m) for m in most for _ in range(2)]
    whole = [(0, 0)] * (len(shape) - padded) + list(zip(widths[::2], widths[1::2], strict=True))
    extra = {"constant_values": 1.5} if mode == "constant" else {}
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    x = draw.floats(shape, np.float32)
    return Case("pad", lambda x: mb.pad(x=x, pad=widths, mode=mode, constant_val=np.float32(1.5)), {"x": x},
                lambda x: np.pad(x, whole, names[mode], **extra))  # fmt: skip


def range_1d(draw: Draw) -> Case:
    start, step = draw.integer(-5, 5), draw.integer(1, 3) * draw.choice([1, -1])
    end = start + step * draw.integer(1, 6) - draw.choice([0, np.sign(step)])
    if (end - start) * step <= 0:
        end = start + step
    values = {n: np.array(v, np.int32) for n, v in (("start", start), ("end", end), ("step", step))}
    return Case("range_1d", lambda start, end, step: mb.range_1d(start=start, end=end, step=step), values,
                lambda start, end, step: np.arange(start, end, step))  # fmt: skip


def shape(draw: Draw) -> Case:
    return Case(
        "shape", lambda x: mb.shape(x=x), {"x": any_array(draw, draw.shape(1))}, lambda x: np.array(x.shape)
    )


def split(draw: Draw) -> Case:
    shape = list(draw.shape(1))
    axis = draw.axis(len(shape))
    if draw.flag():
        count = draw.integer(1, 3)
        sizes = [draw.integer(1, 3)] * count
        extra: dict[str, Any] = {"num_splits": count}
    else:
        sizes = [draw.integer(1, 4) for _ in range(draw.integer(1, 4))]
        extra = {"split_sizes": sizes}
    shape[axis] = sum(sizes)
    return Case("split", lambda x: mb.split(x=x, axis=axis, **extra), {"x": draw.floats(shape, draw.dtype())},
                lambda x: np.split(x, np.cumsum(sizes)[:-1], axis))  # fmt: skip


def stack(draw: Draw) -> Case:
    shape, dtype = draw.shape(0, 4), draw.dtype()
    axis = draw.integer(-len(shape) - 1, len(shape))
    parts = {f"x{i}": draw.floats(shape, dtype) for i in range(draw.integer(1, 4))}
    return Case("stack", lambda **parts: mb.stack(values=list(parts.values()), axis=axis), parts,
                lambda *parts: np.stack(parts, axis))  # fmt: skip


def tile(draw: Draw) -> Case:
    shape = draw.shape(1)
    reps = [draw.integer(1, 3) for _ in shape]
    return Case(
        "tile", lambda x: mb.tile(x=x, reps=reps), {"x": any_array(draw, shape)}, lambda x: np.tile(x, reps)
    )


def topk(draw: Draw) -> Case:
    shape, ascending = draw.shape(1), draw.flag()
    axis = draw.axis(len(shape))
    k = draw.integer(1, shape[axis])

    def reference(x):
        order = np.take(np.argsort(x if ascending else -x, axis), range(k), axis)
        return np.take_along_axis(x, order, axis), order

    return Case("topk", lambda x: mb.topk(x=x, k=k, axis=axis, ascending=ascending), {"x": draw.distinct(shape)},
                reference)  # fmt: skip


def expand_dims(draw: Draw) -> Case:
    shape = draw.shape(0, 3)
    rank = len(shape) + draw.integer(1, 2)
    axes = sorted({draw.axis(rank) % rank for _ in range(rank - len(shape))})
    rank = len(shape) + len(axes)
    axes = [a if a < rank else rank - 1 for a in axes]
    axes = sorted(set(axes))
    return Case("expand_dims", lambda x: mb.expand_dims(x=x, axes=axes), {"x": any_array(draw, shape)},
                lambda x: np.expand_dims(x, tuple(axes)))  # fmt: skip


def squeeze(draw: Draw) -> Case:
    shape = [n if draw.flag() else 1 for n in draw.shape(1)]
    ones = [a for a, n in enumerate(shape) if n == 1]
    axes = [a - len(shape) if draw.flag() else a for a in ones if draw.flag()] or None
    extra: dict[str, Any] = {} if axes is None else {"axes": axes}
    over = tuple(ones) if axes is None else tuple(axes)
    return Case("squeeze", lambda x: mb.squeeze(x=x, **extra), {"x": any_array(draw, tuple(shape))},
                lambda x: np.squeeze(x, over))  # fmt: skip


def flatten2d(draw: Draw) -> Case:
    shape = draw.shape(1)
    axis = draw.axis(len(shape))
    return Case("flatten2d", lambda x: mb.flatten2d(x=x, axis=axis), {"x": draw.floats(shape)},
                lambda x: x.reshape(int(np.prod(shape[: axis % len(shape)])), -1))  # fmt: skip


def reshape(draw: Draw) -> Case:
    shape = draw.shape(1, 4)
    target = [shape[i] for i in draw.permutation(len(shape))]
    if draw.flag():
        target = [1, *target]
    if draw.flag():
        target[draw.integer(0, len(target) - 1)] = -1
    return Case("reshape", lambda x: mb.reshape(x=x, shape=target), {"x": any_array(draw, shape)},
                lambda x: x.reshape(target))  # fmt: skip


def reshape_like(draw: Draw) -> Case:
    a, b, c = (draw.integer(1, 4) for _ in range(3))
    ref = draw.integers((a * b, c))
    return Case("reshape_like", lambda x, r: mb.reshape_like(x=x, ref_tensors=(r, r), begins=(0, 1), ends=(1, 2),
                                                             end_masks=(False, False)),
                {"x": draw.floats((a, b, c)), "r": ref}, lambda x, r: x.reshape(a * b, c))  # fmt: skip


def reverse(draw: Draw) -> Case:
    shape = draw.shape(1)
    axes = draw.axes(len(shape))
    return Case("reverse", lambda x: mb.reverse(x=x, axes=axes), {"x": any_array(draw, shape)},
                lambda x: np.flip(x, tuple(axes)))  # fmt: skip


def reverse_sequence(draw: Draw) -> Case:
    shape = draw.shape(2)
    sequence, batch = draw.choice([(0, 1), (1, 0), (-1, 0)])
    lengths = draw.integers((shape[batch],), 1, shape[sequence])

    def reference(x):
        out = x.copy()
        moved, source = np.moveaxis(out, (batch, sequence), (0, 1)), np.moveaxis(x, (batch, sequence), (0, 1))
        for row, n in enumerate(lengths):
            moved[row, :n] = source[row, :n][::-1]
        return out

    if sequence == -1 and len(shape) == 1:
        sequence = 1
    return Case("reverse_sequence", lambda x: mb.reverse_sequence(x=x, lengths=lengths, seq_axis=sequence,
                                                                  batch_axis=batch), {"x": draw.floats(shape)}, reference)  # fmt: skip


def slices(draw: Draw, shape: tuple[int, ...]) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Parameters of slice_by_index and the key that numpy takes for them."""
    parameters: dict[str, list[Any]] = {
        n: [] for n in ("begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask")
    }
    key: list[Any] = []
    for n in shape:
        begin, length = draw.integer(0, max(n - 1, 0)), draw.integer(min(1, n), n)
        end, stride = min(n, begin + length), draw.integer(1, 3)
        masks = draw.flag(), draw.flag(), n > 0 and draw.integer(0, 3) == 3
        if masks[2]:
            masks, stride = (False, False, True), 1
        negative = draw.flag()
        for name, value in zip(
            parameters, (begin - n if negative else begin, end, stride, *masks), strict=True
        ):
            parameters[name].append(value)
        key.append(
            begin if masks[2] else slice(None if masks[0] else begin, None if masks[1] else end, stride)
        )
    return parameters, tuple(key)


def slice_by_index(draw: Draw) -> Case:
    shape = draw.shape(1)
    parameters, key = slices(draw, shape)
    return Case("slice_by_index", lambda x: mb.slice_by_index(x=x, **parameters), {"x": any_array(draw, shape)},
                lambda x: x[key])  # fmt: skip


def slice_update(draw: Draw) -> Case:
    shape = draw.shape(1)
    parameters, key = slices(draw, shape)
    # coremltools' own check of the update's shape ignores strides on a masked axis.
    parameters["squeeze_mask"], parameters["stride"] = [False] * len(shape), [1] * len(shape)
    for axis, k in enumerate(key):
        if isinstance(k, int):
            parameters["end"][axis] = k + 1
    key = tuple(slice(k, k + 1) if isinstance(k, int) else slice(k.start, k.stop) for k in key)

    def reference(x, u):
        out = x.copy()
        out[key] = u
        return out

    x = draw.floats(shape)
    return Case("slice_update", lambda x, u: mb.slice_update(x=x, update=u, **parameters),
                {"x": x, "u": draw.floats(x[key].shape)}, reference, opset=ct.target.iOS18)  # fmt: skip


def slice_by_size(draw: Draw) -> Case:
    shape = draw.shape(1)
    begin = [draw.integer(0, max(n - 1, 0)) for n in shape]
    size = [draw.choice([-1, draw.integer(min(1, n), n - b)]) for n, b in zip(shape, begin, strict=True)]
    key = tuple(slice(b, None if s < 0 else b + s) for b, s in zip(begin, size, strict=True))
    return Case("slice_by_size", lambda x: mb.slice_by_size(x=x, begin=begin, size=size), {"x": any_array(draw, shape)},
                lambda x: x[key])  # fmt: skip


def sliding_windows(draw: Draw) -> Case:
    shape, axis = draw.shape(1, 4), 0
    axis = draw.axis(len(shape))
    size, stride = draw.integer(1, shape[axis]), draw.integer(1, 3)

    def reference(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis % x.ndim)
        windows = np.moveaxis(windows, -1, axis % x.ndim + 1)
        return np.take(windows, range(0, windows.shape[axis % x.ndim], stride), axis % x.ndim)

    return Case("sliding_windows", lambda x: mb.sliding_windows(x=x, axis=axis, size=size, stride=stride),
                {"x": draw.floats(shape)}, reference)  # fmt: skip


def transpose(draw: Draw) -> Case:
    shape = draw.shape(1)
    perm = [int(p) - (len(shape) if draw.flag() else 0) for p in draw.permutation(len(shape))]
    return Case("transpose", lambda x: mb.transpose(x=x, perm=perm), {"x": any_array(draw, shape)},
                lambda x: np.transpose(x, perm))  # fmt: skip


GENERATORS: dict[str, Generator] = {
    each.__name__: each
    for each in (argsort, band_part, concat, cumsum, expand_dims, fill, fill_like, flatten2d, non_zero, one_hot, pad,
                 range_1d, reshape, reshape_like, reverse, reverse_sequence, shape, slice_by_index, slice_by_size,
                 slice_update, sliding_windows, split, squeeze, stack, tile, topk, transpose)
}  # fmt: skip
