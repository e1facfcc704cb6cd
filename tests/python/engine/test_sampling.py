"""Sampling of images: cases worked out by hand, and what is refused."""

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, ct, mb, run

X = np.array([[10, 20], [30, 50]], np.float32).reshape(1, 1, 2, 2)


def resampled(at, x=X, **parameters):
    parameters = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": np.float32(-2),
                  "coordinates_mode": "unnormalized", "align_corners": True, **parameters}  # fmt: skip
    coordinates = np.array(at, np.float32).reshape(1, 1, -1, 2)
    case = Case(
        "resample", lambda x, at: mb.resample(x=x, coordinates=at, **parameters), {"x": x, "at": coordinates}
    )
    return run(case)[0].ravel().tolist()


def test_a_border_mixes_with_the_padding():
    assert resampled([(0.5, 0), (-0.5, 0), (1.5, 1), (-3, 0)]) == [15, 4, 24, -2]


def test_paddings_of_one_place():
    places = [(-0.75, 0), (1.75, 0)]
    assert resampled(places, padding_mode="border") == [10, 20]
    assert resampled(places, padding_mode="reflection") == [17.5, 12.5]
    assert resampled([(-1.25, 0), (2.25, 0)], padding_mode="symmetric") == [12.5, 17.5]


def test_one_pixel_wide_images_reflect_onto_themselves():
    x = X[..., :1]
    assert resampled([(-7.5, 0.5)], x, padding_mode="reflection") == [20]
    assert resampled([(-7.5, 0.5)], x, padding_mode="symmetric") == [20]


@pytest.mark.parametrize("padding", ["constant", "border", "reflection", "symmetric"])
def test_places_that_are_no_numbers_stay_inside(padding):
    got = resampled([(np.nan, 0), (np.inf, 0), (-np.inf, -np.inf), (3e38, -3e38)], padding_mode=padding)
    assert np.isfinite(got).all()
    assert got[0] == (-2 if padding == "constant" else 10)


def test_boxes_of_several_images_at_once():
    """The first of five numbers says of which image; coremltools declares every image, so the test mends it."""
    x = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4)
    roi = np.array([[1, 0, 0, 3, 3], [0, 1, 1, 2, 2]], np.float32).reshape(2, 1, 5, 1, 1)

    def op(x, roi):
        out = mb.crop_resize(x=x, roi=roi, target_height=2, target_width=2, sampling_mode="ALIGN_CORNERS")
        out._sym_type = ct.converters.mil.mil.types.tensor(out.dtype, (2, 1, 1, 2, 2))
        return out

    got = run(Case("crop_resize", op, {"x": x, "roi": roi}, opset=ct.target.iOS16))[0]
    assert got.reshape(2, 4).tolist() == [[16, 19, 28, 31], [5, 6, 9, 10]]


def test_a_box_of_no_image_is_refused():
    boxes, index = np.zeros((1, 4), np.float32), np.array([3], np.int32)
    case = Case("crop_resize", lambda x, b, i: mb.crop_resize(x=x, boxes=b, box_indices=i),
                {"x": X, "b": boxes, "i": index})  # fmt: skip
    with pytest.raises(ctypes_api.EngineError, match="a box is of no image, got 3, expected 0 to 0"):
        run(case)


def test_a_resize_to_a_negative_length_is_refused():
    case = Case("resize", lambda x, s: mb.resize(x=x, shape=s, resized_dims=np.uint32(2)),
                {"x": X, "s": np.array([2, -2], np.int32)})  # fmt: skip
    with pytest.raises(ctypes_api.EngineError, match="the target size is impossible, got -2"):
        run(case)


def test_the_best_box_stays_where_none_is_good_enough():
    boxes = np.array([[[0, 0, 1, 1], [5, 5, 1, 1]]], np.float32)
    scores = np.array([[[-3], [-2]]], np.float32)

    def op(boxes, scores):
        return mb.non_maximum_suppression(boxes=boxes, scores=scores, iou_threshold=np.float32(0.5),
                                          score_threshold=np.float32(0), max_boxes=3)  # fmt: skip

    _, kept, index, count = run(Case("nms", op, {"boxes": boxes, "scores": scores}, opset=ct.target.iOS16))
    assert kept.ravel().tolist() == [-2, 0, 0]
    assert index.tolist() == [[1, -1, -1]]
    assert count.tolist() == [1]
