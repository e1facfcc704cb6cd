"""Random programs of image_resizing ops and of non_maximum_suppression.

The references read whole padded images, or walk pixel by pixel.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .drawn import Draw, Generator
from .programs import Case, ct, mb
from .references import GRIDS, interpolated

__all__ = ["GENERATORS"]

BUILTIN = {np.float16: "fp16", np.float32: "fp32", np.int32: "int32", np.int16: "int16", np.uint16: "uint16",
           np.int8: "int8", np.uint8: "uint8"}  # fmt: skip


def image(draw: Draw) -> np.ndarray:
    return draw.floats(
        (draw.batch(), draw.integer(1, 3), draw.integer(2, 6), draw.integer(2, 6)), draw.dtype()
    )


def resize_bilinear(draw: Draw) -> Case:
    x, h, w, mode = image(draw), draw.integer(2, 9), draw.integer(2, 9), draw.choice(sorted(GRIDS))
    return Case("resize_bilinear", lambda x: mb.resize_bilinear(x=x, target_size_height=h, target_size_width=w,
                                                                sampling_mode=mode), {"x": x},
                lambda x: interpolated(interpolated(x.astype(np.float64), 2, h, GRIDS[mode]), 3, w, GRIDS[mode]))  # fmt: skip


def upsample_bilinear(draw: Draw) -> Case:
    x, h, w, corners = image(draw), draw.integer(1, 3), draw.integer(1, 3), draw.flag()
    grid = GRIDS["STRICT_ALIGN_CORNERS" if corners else "UNALIGN_CORNERS"]
    return Case("upsample_bilinear", lambda x: mb.upsample_bilinear(x=x, scale_factor_height=h, scale_factor_width=w,
                                                                    align_corners=corners), {"x": x},
                lambda x: interpolated(interpolated(x.astype(np.float64), 2, x.shape[2] * h, grid), 3,
                                       x.shape[3] * w, grid))  # fmt: skip


def upsample_nearest_neighbor(draw: Draw) -> Case:
    h, w = draw.integer(1, 3), draw.integer(1, 3)
    return Case("upsample_nearest_neighbor", lambda x: mb.upsample_nearest_neighbor(
        x=x, scale_factor_height=h, scale_factor_width=w), {"x": image(draw)}, lambda x: x.repeat(h, 2).repeat(w, 3))  # fmt: skip


def resize_nearest_neighbor(draw: Draw) -> Case:
    h, w = draw.integer(1, 9), draw.integer(1, 9)
    return Case("resize_nearest_neighbor", lambda x: mb.resize_nearest_neighbor(
        x=x, target_size_height=h, target_size_width=w), {"x": image(draw)},
        lambda x: centres(centres(x, 2, h), 3, w))  # fmt: skip


def crop(draw: Draw) -> Case:
    x = image(draw)
    h, w = ([draw.integer(0, (n - 1) // 2) for _ in range(2)] for n in x.shape[2:])
    return Case("crop", lambda x: mb.crop(x=x, crop_height=h, crop_width=w), {"x": x},
                lambda x: x[:, :, h[0] : x.shape[2] - h[1], w[0] : x.shape[3] - w[1]])  # fmt: skip


def centres(x: np.ndarray, axis: int, target: int) -> np.ndarray:
    """The pixel of x in which the centre of each output pixel lies."""
    at = (np.arange(target) + 0.5) * x.shape[axis] / target
    return x.take(np.floor(at + 1e-9).astype(int), axis)


def resize(draw: Draw) -> Case:
    x = draw.floats(draw.shape(1, 4), draw.dtype()) if draw.flag() else draw.integers(draw.shape(1, 4)) * 1000
    count = draw.integer(0, min(3, x.ndim))
    ahead = draw.integer(0, x.ndim - count)
    lengths = [draw.choice([0, draw.integer(2, 9)]) for _ in range(count)]
    mode, nearest = draw.choice(sorted(GRIDS)), draw.flag()
    shape = np.array([1] * ahead + lengths, np.int32)
    dtype = draw.choice([np.int32, np.int16, np.uint16])
    kind = "NEAREST_NEIGHBOR" if nearest else "LINEAR"

    def reference(x):
        y = x.astype(np.float64)
        for axis, target in zip(range(x.ndim - count, x.ndim), lengths, strict=True):
            if target in (0, x.shape[axis]):
                continue
            if not nearest:
                y = interpolated(y, axis, target, GRIDS[mode])
            elif mode == "DEFAULT":
                y = centres(y, axis, target)
            else:
                at = [GRIDS[mode](i, x.shape[axis], target) + 0.5 + 1e-9 for i in range(target)]
                y = y.take(np.clip(np.floor(at), 0, x.shape[axis] - 1).astype(int), axis)
        return np.rint(y) if x.dtype == np.int32 else y

    def op(x):
        return mb.resize(x=x, shape=mb.cast(x=shape, dtype=BUILTIN[dtype]) if dtype != np.int32 else shape,
                         resized_dims=np.uint32(count), interpolation_mode=kind, sampling_mode=mode)  # fmt: skip

    # Integers are interpolated in float32 and rounded; halves may go either way.
    return Case("resize", op, {"x": x}, reference, tolerance=1e-3 if x.dtype == np.int32 else None)


def places(draw: Draw, shape: Any, lengths: tuple[int, int]) -> np.ndarray:
    """Places (x, y) in pixels in and around an image of (height, width), none near the middle of two pixels."""
    whole = np.stack([draw.integers(shape, -6, n + 5) for n in lengths[::-1]], -1)
    return whole + np.array([0, 0.25, -0.25, 0.125])[draw.integers(whole.shape, 0, 3)]


UNITS = {
    "unnormalized": lambda p, n, corners: p,
    "normalized_minus_one_to_one": lambda p, n, corners: 2 * (p / (n - 1) if corners else (p + 0.5) / n) - 1,
    "normalized_zero_to_one": lambda p, n, corners: p / (n - 1) if corners else (p + 0.5) / n,
}
PIXELS = {
    "unnormalized": lambda p, n, corners: p,
    "normalized_minus_one_to_one": lambda p, n, corners: (
        (p + 1) / 2 * (n - 1) if corners else (p + 1) / 2 * n - 0.5
    ),
    "normalized_zero_to_one": lambda p, n, corners: p * (n - 1) if corners else p * n - 0.5,
}
PADDINGS = {"constant": "constant", "border": "edge", "reflection": "reflect", "symmetric": "symmetric"}
MARGIN = 24


def looked_up(x: np.ndarray, at: np.ndarray, nearest: bool, padding: str, value: float) -> np.ndarray:
    """x[b, :, y, x] at places [b, h, w, (x, y)], out of an image that was padded first."""
    extra = {"constant_values": value} if padding == "constant" else {}
    whole = np.pad(
        x.astype(np.float64), [(0, 0), (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)], PADDINGS[padding], **extra
    )
    out = np.zeros((x.shape[0], x.shape[1], *at.shape[1:3]))
    limit = np.array(whole.shape[:1:-1]) - 2.0
    for b, i, j in np.ndindex(at.shape[:3]):
        px, py = np.clip(at[b, i, j] + MARGIN, 0, limit)
        if nearest:
            out[b, :, i, j] = whole[b, :, round(py), round(px)]
            continue
        for dy, dx in itertools.product((0, 1), (0, 1)):
            share = abs(1 - dy - py % 1) * abs(1 - dx - px % 1)
            out[b, :, i, j] += share * whole[b, :, int(py) + dy, int(px) + dx]
    return out


def resample(draw: Draw) -> Case:
    x, corners, nearest = image(draw), draw.flag(), draw.flag()
    mode, padding, value = (
        draw.choice(sorted(UNITS)),
        draw.choice(sorted(PADDINGS)),
        x.dtype.type(draw.integer(-2, 2)),
    )
    dtype = draw.choice([np.float32, np.float16, np.int32, np.int16, np.int8])
    at = places(draw, (x.shape[0], draw.integer(1, 4), draw.integer(1, 4)), x.shape[2:])
    if np.issubdtype(dtype, np.integer):
        mode, given = "unnormalized", np.rint(at).astype(dtype)
    else:
        given = np.stack([UNITS[mode](at[..., k], x.shape[3 - k], corners) for k in (0, 1)], -1).astype(dtype)
    small = dtype in (np.int16, np.int8)

    def op(x, at):
        return mb.resample(x=x, coordinates=mb.cast(x=at, dtype=BUILTIN[dtype]) if small else at,
                           sampling_mode="nearest" if nearest else "bilinear", padding_mode=padding,
                           padding_value=value, coordinates_mode=mode, align_corners=corners)  # fmt: skip

    def reference(x, at):
        at = at.astype(np.float64)
        pixels = np.stack([PIXELS[mode](at[..., k], x.shape[3 - k], corners) for k in (0, 1)], -1)
        return looked_up(x, pixels, nearest, padding, float(value))

    return Case("resample", op, {"x": x, "at": given.astype(np.int32) if small else given}, reference)


def affine(draw: Draw) -> Case:
    x, h, w = image(draw), draw.integer(1, 5), draw.integer(1, 5)
    matrix = draw.floats((draw.choice([1, x.shape[0]]), 6), x.dtype, -1.5, 1.5)

    def reference(x, matrix):
        at = np.zeros((x.shape[0], h, w, 2))
        for b, i, j in np.ndindex(at.shape[:3]):
            column = 2 * j / (w - 1) - 1 if w > 1 else 0
            row = 2 * i / (h - 1) - 1 if h > 1 else 0
            at[b, i, j] = matrix[b % len(matrix)].reshape(2, 3).astype(np.float64) @ [column, row, 1]
        pixels = (at + 1) / 2 * (np.array(x.shape[:1:-1]) - 1)
        return looked_up(x, pixels, False, "constant", 0)

    def op(x, matrix):
        return mb.affine(x=x, transform_matrix=matrix, output_height=h, output_width=w, sampling_mode="bilinear",
                         padding_mode="constant", padding_value=x_type(0),
                         coordinates_mode="normalized_minus_one_to_one", align_corners=True)  # fmt: skip

    x_type = x.dtype.type
    return Case("affine", op, {"x": x, "matrix": matrix}, reference)


def grid_points(start: float, end: float, count: int, mode: str) -> np.ndarray:
    """The sampling modes as Core ML's neural-network format defined them: numpy's linspace over an interval."""
    if end < start:
        return 2 * start - grid_points(start, 2 * start - end, count, mode)
    span = end - start + 1
    if mode == "DEFAULT":
        points = np.linspace(0, span - span / count, count)
    elif mode == "OFFSET_CORNERS":
        step = max(1, span - 1) / count
        points = np.linspace(0.5 * step, 0.5 * step + (count - 1) * step, count)
    elif mode == "UNALIGN_CORNERS":
        points = (np.arange(count) + 0.5) * span / count - 0.5
    elif mode == "ALIGN_CORNERS" and count == 1:
        points = np.array([(span - 1) / 2])
    else:
        points = np.linspace(0, span - 1, count)
    return start + np.clip(points, 0, span - 1)


def cropped(x, boxes, images, size, mode, value):
    """[n, c, height, width]: box (y0, x0, y1, x1) in pixels of each image, place by place."""
    out = np.zeros((len(boxes), x.shape[1], *size))
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (0, 1), (0, 1)], "edge")
    for n, (y0, x0, y1, x1) in enumerate(boxes):
        rows, columns = grid_points(y0, y1, size[0], mode), grid_points(x0, x1, size[1], mode)
        for (i, r), (j, c) in itertools.product(enumerate(rows), enumerate(columns)):
            if not (-1e-6 <= r <= x.shape[2] - 1 + 1e-6 and -1e-6 <= c <= x.shape[3] - 1 + 1e-6):
                out[n, :, i, j] = value
                continue
            r, c = max(r, 0), max(c, 0)
            square = padded[images[n], :, int(r) : int(r) + 2, int(c) : int(c) + 2]
            out[n, :, i, j] = np.array([1 - r % 1, r % 1]) @ square @ np.array([1 - c % 1, c % 1])
    return out


def crop_resize(draw: Draw) -> Case:
    x, mode, size = image(draw), draw.choice(sorted(GRIDS)), (draw.integer(1, 4), draw.integer(1, 4))
    kind, count = draw.choice(["roi4", "roi5", "boxes", "indexed"]), draw.integer(1, 3)
    if kind == "roi5":
        x = x[:1]  # coremltools declares another shape than documented for several images
    if kind == "boxes":
        count = draw.integer(1, len(x))
    centre, wide, normal = draw.flag(), draw.flag(), draw.flag()
    scale, value = draw.choice([1.0, 0.5]), x.dtype.type(draw.choice([0, 3]))
    corners = np.stack(
        [draw.integers((count, 2), -4, 4 * n) / 4 for n in x.shape[2:]], 1
    )  # [n, (y, x), (from, to)]
    boxes = corners / scale / (np.array(x.shape[2:]).reshape(2, 1) - 1 if normal else 1)
    if centre:
        boxes = np.stack([boxes.mean(-1), boxes[..., 1] - boxes[..., 0]], -1)
    if wide:
        boxes = boxes[:, ::-1]
    given = (
        boxes.transpose(0, 2, 1)
        .reshape(count, 4)
        .astype(np.float32 if not kind.startswith("roi") else x.dtype)
    )
    images = {"roi5": np.zeros(count, np.int32), "boxes": np.arange(count)}.get(
        kind, draw.integers((count,), 0, len(x) - 1)
    )
    parameters = {
        "target_height": size[0], "target_width": size[1], "normalized_coordinates": normal, "sampling_mode": mode,
        "spatial_scale": np.float32(scale),
        "box_coordinate_mode": ("CENTER_SIZE" if centre else "CORNERS") + ("_WIDTH_FIRST" if wide else "_HEIGHT_FIRST"),
        "pad_value": value,
    }  # fmt: skip

    def op(x, boxes):
        if kind == "indexed":
            return mb.crop_resize(x=x, boxes=boxes, box_indices=images.astype(np.int32), **parameters)
        if kind == "boxes":
            return mb.crop_resize(x=x, boxes=boxes, **parameters)
        return mb.crop_resize(x=x, roi=boxes, **parameters)

    def reference(x, given):
        at = given.reshape(count, -1)[:, -4:].astype(np.float64).reshape(count, 2, 2).transpose(0, 2, 1)
        at = at[:, ::-1] if wide else at
        at = at * scale * (np.array(x.shape[2:]).reshape(2, 1) - 1 if normal else 1)
        if centre:
            at = np.stack([at[..., 0] - at[..., 1] / 2, at[..., 0] + at[..., 1] / 2], -1)
        at = at.transpose(0, 2, 1).reshape(count, 4)
        if kind in ("boxes", "indexed"):
            return cropped(x, at, images, size, mode, value)
        every = range(len(x)) if kind == "roi4" else [0]
        return np.stack([cropped(x, at, [b] * count, size, mode, value) for b in every], 1)

    if kind == "roi5":
        given = np.concatenate([images[:, None], given], 1).astype(x.dtype)
    if kind.startswith("roi"):
        given = given.reshape(count, 1, -1, 1, 1)
    opset = ct.target.iOS16 if kind.startswith("roi") else ct.target.iOS17
    # float16 coordinates of a box: its places are known to a 256th of a pixel.
    tolerance = 2e-2 if given.dtype == np.float16 else None
    return Case("crop_resize", op, {"x": x, "boxes": given}, reference, opset=opset, tolerance=tolerance)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of (x, y, width, height)."""
    low, high = (
        np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2),
        np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2),
    )
    common = np.prod(np.maximum(high - low, 0))
    return common / (np.prod(a[2:]) + np.prod(b[2:]) - common)


def suppressed(boxes, scores, limit, lowest, most, by_class):
    """Takes the best box that is left and strikes out what it covers, until none is left."""
    best, label = scores.max(-1), scores.argmax(-1)
    left, chosen = [i for i in range(len(boxes)) if best[i] >= lowest], []
    while left and len(chosen) < most:
        top = max(left, key=lambda i: (best[i], -i))
        chosen.append(top)
        left = [i for i in left if i != top
                and ((by_class and label[i] != label[top]) or not overlap(boxes[i], boxes[top]) > limit)]  # fmt: skip
    return chosen or [int(best.argmax())]


def non_maximum_suppression(draw: Draw) -> Case:
    batch, count, classes, most = (
        draw.batch(3),
        draw.integer(1, 9),
        draw.integer(1, 4),
        draw.integer(1, 10),
    )
    dtype, old, by_class = draw.dtype(), draw.flag(), draw.flag()
    boxes = draw.floats((batch, count, 4), dtype, 0.5, 4)
    scores = draw.distinct((batch, count, classes), dtype)
    limit = dtype(draw.integer(0, 9) / 10 + 0.01)
    lowest = dtype(draw.integer(-2, batch * count * classes) - 0.5) if old else dtype(-np.inf)

    def op(boxes, scores):
        extra: dict[str, Any] = {"score_threshold": lowest} if old else {}
        return mb.non_maximum_suppression(boxes=boxes, scores=scores, iou_threshold=limit, max_boxes=most,
                                          per_class_suppression=by_class, **extra)  # fmt: skip

    def reference(boxes, scores):
        boxes, scores = (boxes, scores) if old else (boxes.swapaxes(1, 2), scores.swapaxes(1, 2))
        wide = boxes.astype(np.float64), scores.astype(np.float64)
        index = np.full((batch, most), -1)
        kept = np.zeros((batch, most, 4)), np.zeros((batch, most, classes))
        counts = []
        for b in range(batch):
            chosen = suppressed(wide[0][b], wide[1][b], float(limit), float(lowest), most, by_class)
            counts.append(len(chosen))
            index[b, : len(chosen)] = chosen
            for out, source in zip(kept, wide, strict=True):
                out[b, : len(chosen)] = source[b][chosen]
        if old:
            return [*kept, index, np.array(counts)]
        return [kept[0].swapaxes(1, 2), kept[1].swapaxes(1, 2), index]

    inputs = {"boxes": boxes, "scores": scores}
    if not old:
        inputs = {name: np.ascontiguousarray(value.swapaxes(1, 2)) for name, value in inputs.items()}
    return Case("non_maximum_suppression", op, inputs, reference,
                opset=ct.target.iOS16 if old else ct.target.iOS17)  # fmt: skip


GENERATORS: dict[str, Generator] = {
    each.__name__: each
    for each in (affine, crop, crop_resize, non_maximum_suppression, resample, resize, resize_bilinear,
                 resize_nearest_neighbor, upsample_bilinear, upsample_nearest_neighbor)
}  # fmt: skip
