"""tensor_transformation, tensor_operation and scatter_gather ops against numpy or value inference."""

import numpy as np
import pytest

from .programs import Case, check, ct, mb

RNG = np.random.RandomState(11)
X = RNG.randn(2, 3, 4).astype(np.float32)
IMAGE = RNG.randn(2, 8, 4, 6).astype(np.float32)
INDEX = np.array([2, 0, -1], np.int32)


def shuffled(x, r):
    n, c, h, w = x.shape
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def unshuffled(x, r):
    n, c, h, w = x.shape
    return (
        x.reshape(n, c, h // r, r, w // r, r)
        .transpose(0, 1, 3, 5, 2, 4)
        .reshape(n, c * r * r, h // r, w // r)
    )


def depth_to_space(x, r):
    n, c, h, w = x.shape
    return x.reshape(n, r, r, c // r**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // r**2, h * r, w * r)


def space_to_depth(x, r):
    n, c, h, w = x.shape
    return (
        x.reshape(n, c, h // r, r, w // r, r)
        .transpose(0, 3, 5, 1, 2, 4)
        .reshape(n, c * r * r, h // r, w // r)
    )


def sliced(begin, end, key, **extra):
    return Case(
        f"slice_by_index {begin} {end} {extra}",
        lambda x: mb.slice_by_index(x=x, begin=begin, end=end, **extra),
        {"x": X},
        lambda x: x[key],
    )


UPDATE = np.arange(8, dtype=np.float32).reshape(2, 2, 2)


def updated_backwards(x, update):
    y = x.copy()
    y[:, 2:0:-1, 3:0:-2] = update
    return y


TRANSFORMATIONS = [
    Case("expand_dims", lambda x: mb.expand_dims(x=x, axes=[0, -1]), {"x": X}, lambda x: x[None, ..., None]),
    Case("squeeze", lambda x: mb.squeeze(x=x, axes=[-1, 0]), {"x": X[None, ..., None]}, lambda x: x[0, ..., 0]),
    Case("squeeze_all", lambda x: mb.squeeze(x=x), {"x": X[None, ..., None]}, lambda x: x[0, ..., 0]),
    Case("reshape", lambda x: mb.reshape(x=x, shape=[4, -1]), {"x": X}, lambda x: x.reshape(4, -1)),
    Case("reshape_like", lambda x: mb.reshape_like(x=x, ref_tensors=(mb.const(val=np.zeros((6, 9), np.float32)),
         mb.const(val=np.zeros((5, 4), np.float32))), begins=[0, 1], ends=[1, 0], end_masks=[False, True]),
         {"x": X}, lambda x: x.reshape(6, 4)),
    Case("transpose", lambda x: mb.transpose(x=x, perm=[2, 0, -2]), {"x": X}, lambda x: x.transpose(2, 0, 1)),
    Case("reverse", lambda x: mb.reverse(x=x, axes=[-1, 0]), {"x": X}, lambda x: x[::-1, :, ::-1]),
    Case("reverse_all", lambda x: mb.reverse(x=x), {"x": X}, lambda x: x[::-1, ::-1, ::-1]),
    Case("slice_by_size", lambda x: mb.slice_by_size(x=x, begin=[0, 1, 1], size=[-1, 2, 2]), {"x": X},
         lambda x: x[:, 1:, 1:3]),
    Case("pixel_shuffle", lambda x: mb.pixel_shuffle(x=x, upscale_factor=2), {"x": IMAGE}, lambda x: shuffled(x, 2)),
    Case("pixel_unshuffle", lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)), {"x": IMAGE},
         lambda x: unshuffled(x, 2)),
    Case("depth_to_space", lambda x: mb.depth_to_space(x=x, block_size=2), {"x": IMAGE},
         lambda x: depth_to_space(x, 2)),
    Case("space_to_depth", lambda x: mb.space_to_depth(x=x, block_size=2), {"x": IMAGE},
         lambda x: space_to_depth(x, 2)),
    Case("space_batch_space", lambda x: mb.batch_to_space(x=mb.space_to_batch(
         x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 0]]), block_shape=[2, 3], crops=[[1, 1], [0, 0]]),
         {"x": IMAGE}, lambda x: x),
    Case("sliding_windows", lambda x: mb.sliding_windows(x=x, axis=-1, size=2, stride=2), {"x": X},
         lambda x: x.reshape(2, 3, 2, 2)),
    Case("reverse_sequence", lambda x: mb.reverse_sequence(x=x, lengths=[1, 3], seq_axis=1, batch_axis=0), {"x": X},
         lambda x: np.stack([x[0], x[1, ::-1]])),
    Case("flatten2d", lambda x: mb.flatten2d(x=x, axis=2), {"x": X}, lambda x: x.reshape(6, 4)),
    sliced([0, 0, 1], [2, 3, 3], np.s_[:, :, 1:3]),
    sliced([0, -2, -3], [2, -1, 4], np.s_[:, -2:-1, -3:]),
    sliced([0, 0, 3], [2, 3, 0], np.s_[:, :, 3:0:-1], stride=[1, 1, -1]),
    sliced([0, 2, 3], [2, 0, 0], np.s_[:, ::-2, ::-1], stride=[1, -2, -1], begin_mask=[False, True, True],
           end_mask=[False, True, True]),
    sliced([1, 0, -1], [0, 3, 0], np.s_[1, :, -1], squeeze_mask=[True, False, True]),
    sliced([0, 1, 0], [0, 9, 0], np.s_[:, 1:, ::3], stride=[1, 1, 3], begin_mask=[True, False, True],
           end_mask=[True, True, True]),
    Case("slice_update", lambda x, update: mb.slice_update(
         x=x, update=update, begin=[0, 1, 0], end=[2, 3, 4], stride=[1, 1, 2]),
         {"x": X, "update": np.ones((2, 2, 2), np.float32)},
         lambda x, update: np.stack([np.where(np.outer([0, 1, 1], [1, 0, 1, 0]), 1, row) for row in x]),
         opset=ct.target.iOS18),
    Case("slice_update backwards", lambda x, update: mb.slice_update(
         x=x, update=update, begin=[0, 2, 3], end=[2, 0, 0], stride=[1, -1, -2]),
         {"x": X, "update": UPDATE}, updated_backwards, opset=ct.target.iOS18),
]  # fmt: skip


@pytest.mark.parametrize("case", TRANSFORMATIONS, ids=lambda case: case.name)
def test_transformation(case):
    check(case)


def topk(x, k, axis, ascending=False):
    order = np.argsort(x if ascending else -x, axis=axis, kind="stable").take(range(k), axis)
    return np.take_along_axis(x, order, axis), order


OPERATIONS = [
    Case("argsort", lambda x: mb.argsort(x=x, axis=1), {"x": X}, lambda x: np.argsort(-x, 1)),
    Case("argsort_up", lambda x: mb.argsort(x=x, axis=-1, ascending=True), {"x": X}, lambda x: np.argsort(x, -1)),
    Case("band_part", lambda x: mb.band_part(x=x, lower=1, upper=0), {"x": X}, lambda x: np.tril(x) - np.tril(x, -2)),
    Case("band_part_all", lambda x: mb.band_part(x=x, lower=-1, upper=1), {"x": X}, lambda x: np.tril(x, 1)),
    Case("concat", lambda x, y: mb.concat(values=[x, y, x], axis=-2), {"x": X, "y": X * 2},
         lambda x, y: np.concatenate([x, y, x], 1)),
    Case("concat_interleave", lambda x, y: mb.concat(values=[x, y], axis=1, interleave=True), {"x": X, "y": X * 2},
         lambda x, y: np.stack([x, y], 2).reshape(2, 6, 4)),
    Case("cumsum", lambda x: mb.cumsum(x=x, axis=-1), {"x": X}, lambda x: np.cumsum(x, -1)),
    Case("cumsum_reverse", lambda x: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True), {"x": X},
         lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1] - x),
    Case("fill", lambda x: mb.add(x=x, y=mb.fill(shape=[2, 3, 4], value=2.5)), {"x": X}, lambda x: x + 2.5),
    Case("fill_like", lambda x: mb.fill_like(ref_tensor=x, value=3.0), {"x": X}, lambda x: np.full_like(x, 3)),
    Case("one_hot", lambda x: mb.one_hot(indices=x, one_hot_vector_size=4, axis=0, on_value=5, off_value=-1),
         {"x": np.array([[0, 3], [1, 9]], np.int32)},
         lambda x: np.moveaxis(np.where(x[..., None] == np.arange(4), 5, -1), -1, 0)),
    Case("pad", lambda x: mb.pad(x=x, pad=[1, 0, 2, 1], mode="constant", constant_val=7.0), {"x": X},
         lambda x: np.pad(x, [(0, 0), (1, 0), (2, 1)], constant_values=7)),
    Case("pad_reflect", lambda x: mb.pad(x=x, pad=[2, 1, 3, 2], mode="reflect"), {"x": X},
         lambda x: np.pad(x, [(0, 0), (2, 1), (3, 2)], "reflect")),
    Case("pad_replicate", lambda x: mb.pad(x=x, pad=[0, 2, 3, 5], mode="replicate"), {"x": X},
         lambda x: np.pad(x, [(0, 0), (0, 2), (3, 5)], "edge")),
    Case("range_1d", lambda x: mb.add(x=x, y=mb.range_1d(start=1.0, end=3.0, step=0.5)), {"x": X},
         lambda x: x + np.arange(1, 3, 0.5)),
    Case("shape", lambda x: mb.shape(x=x), {"x": X}, lambda x: np.array([2, 3, 4])),
    Case("split", lambda x: mb.split(x=x, num_splits=2, axis=-1), {"x": X}, lambda x: np.split(x, 2, -1)),
    Case("split_sizes", lambda x: mb.split(x=x, split_sizes=[1, 3], axis=2), {"x": X}, lambda x: np.split(x, [1], 2)),
    Case("stack", lambda x, y: mb.stack(values=[x, y], axis=-1), {"x": X, "y": -X}, lambda x, y: np.stack([x, y], -1)),
    Case("tile", lambda x: mb.tile(x=x, reps=[2, 1, 3]), {"x": X}, lambda x: np.tile(x, [2, 1, 3])),
    Case("topk", lambda x: mb.topk(x=x, k=2, axis=-1), {"x": X}, lambda x: topk(x, 2, 2)),
    Case("topk_up", lambda x: mb.topk(x=x, k=2, axis=1, ascending=True), {"x": X}, lambda x: topk(x, 2, 1, True)),
    Case("topk_ties", lambda x: mb.topk(x=x, k=3, axis=0), {"x": np.array([1, 5, 5, 2, 5], np.float32)},
         lambda x: topk(x, 3, 0)),
    Case("non_zero", lambda x: mb.non_zero(x=x), {"x": np.array([[0, 1], [2, 0]], np.float32)},
         lambda x: np.argwhere(x)),
    Case("identity", lambda x: mb.identity(x=x), {"x": X}, lambda x: x),
]  # fmt: skip


@pytest.mark.parametrize("case", OPERATIONS, ids=lambda case: case.name)
def test_operation(case):
    check(case)


def scattered(mode):
    def reference(data, indices, updates):
        out = data.copy()
        operation = {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "max": np.maximum,
            "min": np.minimum,
        }
        if mode == "update":
            out[:, indices] = updates
        else:
            operation[mode].at(out, (slice(None), indices), updates)
        return out

    return reference


def along_axis(data, indices, updates):
    out = data.copy()
    rows, _, columns = np.ogrid[:2, :2, :4]
    np.add.at(out, (rows, indices, columns), updates)
    return out


def scatter_nd(data, indices, updates):
    out = data.copy()
    np.add.at(out, tuple(np.moveaxis(indices, -1, 0)), updates)
    return out


PAIRS = np.array([[0, 2], [1, 0], [0, 2]], np.int32)
ALONG = RNG.randint(0, 3, (2, 2, 4)).astype(np.int32)

GATHERS = [
    Case("gather", lambda x, i: mb.gather(x=x, indices=i, axis=1), {"x": X, "i": INDEX}, lambda x, i: x[:, i]),
    Case("gather_2d", lambda x, i: mb.gather(x=x, indices=i, axis=-1), {"x": X, "i": INDEX.reshape(3, 1)},
         lambda x, i: x[:, :, i]),
    Case("gather_batch", lambda x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
         {"x": X, "i": np.array([[1, 3], [0, 0]], np.int32)}, lambda x, i: np.stack([x[b][:, i[b]] for b in range(2)])),
    Case("gather_along_axis", lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=1), {"x": X, "i": ALONG},
         lambda x, i: np.take_along_axis(x, i, 1)),
    Case("gather_nd", lambda x, i: mb.gather_nd(x=x, indices=i), {"x": X, "i": PAIRS}, lambda x, i: x[i[:, 0], i[:, 1]]),
    Case("gather_nd_batch", lambda x, i: mb.gather_nd(x=x, indices=i, batch_dims=1),
         {"x": X, "i": np.array([[[2], [0]], [[1], [1]]], np.int32)},
         lambda x, i: np.stack([x[b][i[b, :, 0]] for b in range(2)])),
    *[Case(f"scatter_{mode}", lambda data, indices, updates, mode=mode: mb.scatter(
        data=data, indices=indices, updates=updates, axis=1, mode=mode),
        {"data": X, "indices": np.array([2, 0], np.int32), "updates": RNG.randn(2, 2, 4).astype(np.float32)},
        scattered(mode)) for mode in ["update", "add", "sub", "mul", "max", "min"]],
    Case("scatter_along_axis", lambda data, indices, updates: mb.scatter_along_axis(
        data=data, indices=indices, updates=updates, axis=1, mode="add"),
        {"data": X, "indices": ALONG, "updates": RNG.randn(2, 2, 4).astype(np.float32)}, along_axis),
    Case("scatter_nd", lambda data, indices, updates: mb.scatter_nd(
        data=data, indices=indices, updates=updates, mode="add"),
        {"data": X, "indices": PAIRS, "updates": RNG.randn(3, 4).astype(np.float32)}, scatter_nd),
    Case("select", lambda x, y: mb.select(cond=mb.greater(x=x, y=y), a=x, b=y), {"x": X, "y": -X}, np.maximum),
]  # fmt: skip


@pytest.mark.parametrize("case", GATHERS, ids=lambda case: case.name)
def test_gather_and_scatter(case):
    check(case)


@pytest.mark.parametrize("name", ["expand_dims", "reshape", "transpose", "concat", "tile"])
def test_data_movement_keeps_half_precision_bits(name):
    x = RNG.randn(2, 3, 4).astype(np.float16)
    ops = {
        "expand_dims": lambda x: mb.expand_dims(x=x, axes=[1]), "reshape": lambda x: mb.reshape(x=x, shape=[6, 4]),
        "transpose": lambda x: mb.transpose(x=x, perm=[1, 2, 0]), "concat": lambda x: mb.concat(values=[x, x], axis=0),
        "tile": lambda x: mb.tile(x=x, reps=[1, 2, 1]),
    }  # fmt: skip
    references = {
        "expand_dims": lambda x: x[:, None], "reshape": lambda x: x.reshape(6, 4),
        "transpose": lambda x: x.transpose(1, 2, 0), "concat": lambda x: np.concatenate([x, x]),
        "tile": lambda x: np.tile(x, [1, 2, 1]),
    }  # fmt: skip
    check(Case(name, ops[name], {"x": x}, references[name], tolerance=0.0))


def test_shapes_that_the_program_computes():
    """A reshape to a shape computed from another tensor's shape."""

    def op(x, y):
        shape = mb.shape(x=y)
        return mb.reshape(x=x, shape=mb.concat(values=[shape, np.array([-1], np.int32)], axis=0))

    y = np.zeros((4, 3), np.float32)
    check(Case("dynamic reshape", op, {"x": X, "y": y}, lambda x, y: x.reshape(4, 3, 2)))
