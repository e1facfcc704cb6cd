"""Refusals of the ops of networks: layers, norms, pools, pictures, sequences, control flow."""

import numpy as np

from .programs import Block, Const, Op, Row, f, i

W = Const(np.ones((4, 4, 3, 3), np.float32))
IMAGE = f(1, 4, 6, 6)


def conv(text, x=IMAGE, weight=W, **parameters):
    return Row("conv", {"x": x, "weight": weight, **parameters}, text)


def turned(text, x=IMAGE, weight=W, **parameters):
    return Row("conv_transpose", {"x": x, "weight": weight, **parameters}, text)


def pool(text, x=IMAGE, kernel_sizes=(2, 2), **parameters):
    return Row(
        "max_pool", {"x": x, "kernel_sizes": list(kernel_sizes), "pad_type": "valid", **parameters}, text
    )


LAYERS = [
    conv("bias does not fit weight, got [3], expected [4].", bias=Const(np.ones(3, np.float32))),
    conv("groups do not divide the channels, got 3, expected a divisor of 4.", groups=3),
    conv("groups do not divide weight's filters, got 2, expected a divisor of 3.", groups=2,
         weight=Const(np.ones((3, 2, 1, 1), np.float32))),
    conv("x and weight do not fit, got [1, 2, 6, 6] and [4, 4, 3, 3], "
         "expected c_in / groups in weight's second axis.", f(1, 2, 6, 6)),
    conv("the kernel is larger than the padded input, got 3, expected at most 2.", f(1, 4, 2, 6)),
    conv("groups are too many, got 32768, expected at most 16384.", f(1, 2**15, 1, 1), groups=2**15),
    conv("x has a wrong rank, got [1, 4], expected [n, c, *d] with 1 to 3 axes d.", f(1, 4)),
    conv("x is too long, got [0, 4, 2147483647, 1], expected at most 1073741824 an axis.", f(0, 4, 2**31 - 1, 1)),
    conv("the kernel has a wrong count of values, got 1, expected 2.", weight=Const(np.ones((4, 4, 3), np.float32))),
    conv("strides must be positive, got 0, expected 1 to 16777216.", strides=[0, 1]),
    conv("the dilated kernel is too large, got 16777216, expected a smaller dilation.", dilations=[2**24, 1]),
    conv("pad has a wrong count of values, got 2, expected 4.", pad_type="custom", pad=[1, 1]),
    conv("a padding is too large, got -2147483648, expected at most 16777216.", pad_type="custom",
         pad=[-(2**31), 0, 0, 0]),
    conv("unknown pad_type, got full, expected valid, custom, same or same_lower.", pad_type="full"),
    turned("x and weight do not fit, got [1, 2, 6, 6] and [4, 4, 3, 3], expected c_in first in weight.",
           f(1, 2, 6, 6)),
    turned("a padding is negative, got -1, expected 0 or more.", pad_type="custom", pad=[0, 0, -1, 0]),
    turned("the padding leaves nothing, got -2, expected 1 or more.", pad_type="custom", pad=[5, 5, 0, 0]),
    Row("linear", {"x": f(2, 3), "weight": Const(np.ones((4, 2), np.float32))},
        "x and weight do not fit, got [2, 3] and [4, 2], expected [..., in] and [out, in]."),
    Row("scaled_dot_product_attention", {"query": f(2, 3), "key": f(2, 4), "value": f(2, 3)},
        "query, key and value do not fit, got [2, 3], [2, 4] and [2, 3], "
        "expected [..., l, e], [..., s, e] and [..., s, v]."),
    Row("gelu", {"x": f(2), "mode": "FAST"},
        "unknown mode, got FAST, expected EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION."),
    Row("gelu", {"x": f(2), "mode": 1}, 'parameter "mode" is not a text, got a tensor, expected a text.'),
    Row("prelu", {"x": f(3), "alpha": [0.5]}, "x needs a channel axis, got rank 1, expected at least 2."),
    Row("leaky_relu", {"x": f(3), "alpha": [0.5, 1.0]},
        'parameter "alpha" has a wrong count of values, got 2, expected 1.'),
    Row("softmax", {"x": f(2, 3), "axis": 2}, 'parameter "axis" is no axis of the tensor, got 2, expected -2 to 1.'),
    Row("softmax", {"x": f(2, 3), "axis": [0, 1]},
        'parameter "axis" has a wrong count of values, got 2, expected 1.'),
    Row("relu", {"x": "text"}, 'parameter "x" is not a tensor, got a text, expected a tensor.'),
    Row("stack", {"values": ["@axis", "text"], "axis": i(0)},
        'parameter "values" is not made of tensors, got a text, expected tensors.'),
]  # fmt: skip

NORMS = [
    Row("batch_norm", {"x": f(3), "mean": f(3), "variance": f(3)},
        "x has no channel axis, got rank 1, expected at least 2."),
    Row("instance_norm", {"x": f(2, 3)}, "x has no axis to normalise, got rank 2, expected at least 3."),
    Row("local_response_norm", {"x": f(3), "size": 3}, "x has no channel axis, got rank 1, expected at least 2."),
    Row("local_response_norm", {"x": f(1, 3), "size": 2**30},
        'parameter "size" is impossible, got 1073741824, expected 1 to 4096.'),
]  # fmt: skip

POOLS = [
    pool("the window is larger than the padded input, got 7, expected at most 6.", kernel_sizes=(7, 2)),
    pool("no window begins inside the input, got [1, 1, 0], expected an axis of 1 or more.", f(1, 1, 0), (1,),
         pad_type="custom", pad=[0, 1], ceil_mode=True),
    pool("the window is too large, got 20000, expected at most 16384 where there are several.", f(1, 1, 20002),
         (20000,)),
]  # fmt: skip

PICTURES = [
    Row("crop", {"x": f(2, 2), "crop_height": [0, 0], "crop_width": [0, 0]},
        "x has no height and width, got rank 2, expected at least 3."),
    Row("crop", {"x": IMAGE, "crop_height": [0], "crop_width": [0, 0]},
        "crop_height and crop_width have a wrong count of values, got 1 and 2, expected 2 and 2."),
    Row("crop", {"x": IMAGE, "crop_height": [3, 3], "crop_width": [0, 0]},
        "the crop leaves nothing, got [1, 4, 6, 6], expected amounts of 0 or more, below the sides."),
    Row("resize_nearest_neighbor", {"x": f(1, 1, 0, 4), "target_size_height": 2, "target_size_width": 2},
        "x has no pixels, got [1, 1, 0, 4], expected a height and a width of 1 or more."),
    Row("resize_nearest_neighbor", {"x": IMAGE, "target_size_height": 2**30, "target_size_width": 2},
        "the target size is impossible, got 1073741824 x 2, expected 1 to 16777216."),
    Row("resize_bilinear", {"x": IMAGE, "target_size_height": 2, "target_size_width": 2, "sampling_mode": "CUBIC"},
        "unknown sampling_mode, got CUBIC, expected DEFAULT, ALIGN_CORNERS, STRICT_ALIGN_CORNERS, OFFSET_CORNERS "
        "or UNALIGN_CORNERS."),
    Row("resize", {"x": IMAGE, "shape": [2], "resized_dims": 2},
        "resized_dims, shape and x do not fit, got 2, 1 and rank 4, "
        "expected resized_dims at most shape's size, and that at most x's rank."),
    Row("resize", {"x": IMAGE, "shape": [2], "resized_dims": 1, "interpolation_mode": "CUBIC"},
        "unknown interpolation_mode, got CUBIC, expected LINEAR or NEAREST_NEIGHBOR."),
    Row("resize", {"x": IMAGE, "shape": [-2], "resized_dims": 1},
        "the target size is impossible, got -2, expected 0 to 16777216."),
    Row("resize", {"x": f(1, 1, 0), "shape": [2], "resized_dims": 1},
        "the axis is empty, got [1, 1, 0], expected 1 or more elements."),
    Row("reduce_argmax", {"x": f(2, 0), "axis": 1}, "the axis is empty, got [2, 0], expected 1 or more elements."),
    Row("upsample_nearest_neighbor", {"x": IMAGE, "scale_factor_height": 0.0, "scale_factor_width": 1.0},
        "scale_factor_height gives an impossible size, got 0.000000, expected 1 to 16777216."),
    Row("upsample_bilinear", {"x": IMAGE, "align_corners": True, "half_pixel_centers": True},
        "align_corners and half_pixel_centers exclude each other, got both, expected one."),
]  # fmt: skip


def sampled(text, x=IMAGE, coordinates=f(1, 2, 2, 2), **parameters):  # noqa: B008
    modes = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": 0.0,
             "coordinates_mode": "unnormalized", "align_corners": True}  # fmt: skip
    return Row("resample", {"x": x, "coordinates": coordinates, **modes, **parameters}, text)


def turned_by(text, transform_matrix=f(1, 6), **parameters):  # noqa: B008
    modes = {"output_height": 2, "output_width": 2, "sampling_mode": "bilinear", "padding_mode": "constant",
             "padding_value": 0.0, "coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}  # fmt: skip
    return Row("affine", {"x": IMAGE, "transform_matrix": transform_matrix, **modes, **parameters}, text)


BOX = Const(np.zeros((1, 4), np.float32))
SAMPLES = [
    sampled("unknown coordinates_mode, got polar, expected unnormalized, normalized_minus_one_to_one or "
            "normalized_zero_to_one.", coordinates_mode="polar"),
    sampled("unknown sampling_mode, got cubic, expected bilinear or nearest.", sampling_mode="cubic"),
    sampled("unknown padding_mode, got wrap, expected constant, border, reflection or symmetric.",
            padding_mode="wrap"),
    sampled("x is no batch of images, got [4, 6, 6], expected [b, c, h, w] with pixels.", f(4, 6, 6)),
    sampled("coordinates have a wrong shape, got [2, 2], expected [b, h, w, 2] with the b of x.",
            coordinates=f(2, 2)),
    turned_by("the output's size is impossible, got 0 x 2, expected 1 to 16777216.", output_height=0),
    turned_by("transform_matrix has a wrong shape, got [2, 6], expected [1, 6] or [b, 6].", f(2, 6)),
    Row("crop_resize", {"x": IMAGE}, 'parameter "boxes" is missing, got no boxes, expected boxes or roi.'),
    Row("crop_resize", {"x": IMAGE, "boxes": Const(np.zeros((1, 5), np.float32))},
        "boxes has a wrong shape, got [1, 5], expected [n, 4]."),
    Row("crop_resize", {"x": IMAGE, "boxes": BOX, "box_coordinate_mode": "POLAR"},
        "unknown box_coordinate_mode, got POLAR, expected CORNERS_HEIGHT_FIRST, CORNERS_WIDTH_FIRST, "
        "CENTER_SIZE_HEIGHT_FIRST or CENTER_SIZE_WIDTH_FIRST."),
    Row("crop_resize", {"x": IMAGE, "boxes": BOX, "box_indices": [0, 0]},
        "box_indices and boxes have another count, got 2, expected 1."),
    Row("crop_resize", {"x": IMAGE, "boxes": BOX, "box_indices": [1]},
        "a box is of no image, got 1, expected 0 to 0."),
    Row("crop_resize", {"x": IMAGE, "boxes": Const(np.zeros((200, 4), np.float32)), "box_indices": [0] * 200,
                        "target_height": 2**24},
        "an axis of the result has an impossible length, got 3355443200, expected 0 to 2147483647."),
]  # fmt: skip


def suppressed(text, boxes=f(1, 2, 4), scores=f(1, 2, 3), **parameters):  # noqa: B008
    given = {"iou_threshold": 0.5, "score_threshold": 0.1, "max_boxes": 2, "per_class_suppression": False}
    return Row("non_maximum_suppression", {"boxes": boxes, "scores": scores, **given, **parameters}, text,
               outputs=("y", "s", "i", "n"))  # fmt: skip


LISTS = [
    Row("classify", {"probabilities": f(3), "classes": Const(np.array([1, 2], np.int64))},
        "classes and probabilities have another count, got 2, expected 3.", outputs=("y", "p")),
    suppressed("boxes or scores have a wrong rank, got 2 and 3, expected 3 and 3.", f(2, 4)),
    suppressed("boxes and scores do not fit, got [1, 2, 4] and [1, 3, 3], expected [b, n, 4] and [b, n, classes].",
               scores=f(1, 3, 3)),
    suppressed("max_boxes is impossible, got 20000000, expected 0 to 16777216.", max_boxes=20_000_000),
    Row("make_list", {"init_length": -1, "dynamic_length": True, "elem_shape": [3], "dtype": "fp32"},
        "a length of the list is negative, got -1, expected 0 or more."),
    Row("make_list", {"init_length": 1, "dynamic_length": True, "elem_shape": [3], "dtype": "fp8"},
        "unknown dtype, got fp8, expected fp32, fp16, int32, int16, uint16, int8, uint8 or bool."),
    Row("list_length", {"ls": 1.0}, "ls is no list, got a number, expected a list."),
    Row("list_write", {"ls": f(2, 3), "index": 0, "value": f(4)},
        "the value is no element of the list, got [4], expected [3]."),
    Row("list_write", {"ls": f(2, 3), "index": 2**24, "value": f(3)},
        "an index lies outside the list, got 16777216, expected 0 to 16777215."),
    Row("list_read", {"ls": f(2, 3), "index": []},
        'parameter "index" has a wrong count of values, got 0, expected 1.'),
    Row("list_scatter", {"ls": f(2, 3), "indices": [0, 1], "value": f(1, 3)},
        "value and indices have another count, got [1, 3], expected 2."),
]  # fmt: skip

SEQUENCES = [
    Row("rnn", {"x": f(2, 3), "initial_h": f(3, 4), "weight_ih": f(4, 3), "weight_hh": f(4, 4)},
        "x has a wrong shape, got [2, 3], expected [s, b, in] with s of 1 to 1048576."),
    Row("gru", {"x": f(2, 1, 3), "initial_h": f(4), "weight_ih": f(12, 3), "weight_hh": f(12, 4)},
        "x, the state and the weights do not fit, got [2, 1, 3], [4], [12, 3] and [12, 4], "
        "expected [s, b, in], [b, h], [3 h, in] and [3 h, h]."),
    Row("rnn", {"x": f(2, 1, 3), "initial_h": f(1, 4), "weight_ih": f(4, 3), "weight_hh": f(4, 4),
                "activation": "swish"},
        "unknown activation, got swish, expected sigmoid, tanh, relu, linear, sigmoid_hard or hard_sigmoid."),
    Row("lstm", {"x": f(2, 1, 3), "initial_h": f(1, 8), "initial_c": f(1, 8), "weight_ih": f(16, 3),
                 "weight_hh": f(16, 4), "direction": "bidirectional"},
        'parameter "weight_ih_back" is missing.', outputs=("y", "h", "c")),
    Row("random_normal", {"shape": [-1]}, "the shape is negative, got -1, expected 0 or more."),
    Row("random_categorical", {"x": f(1, 3), "mode": "odds"}, "unknown mode, got odds, expected logits or probs."),
    Row("random_categorical", {"x": f(1, 3), "size": -1},
        "x has no classes, or size is negative, got [1, 3] and -1, expected [n, classes] and 0 or more."),
]  # fmt: skip

STEP = Op("identity", {"x": "@a"}, outputs=("b",))
CONTROL = [
    Row("cond", {"pred": f(2)}, "the condition is no single value, got [2], expected [].",
        blocks=(Block(), Block())),
    Row("while_loop", {"loop_vars": f(2)}, "the condition's block returns nothing, got 0 values, expected 1.",
        blocks=(Block(("a",), (STEP,), ()), Block(("a",), (STEP,), ("b",)))),
]  # fmt: skip

ROWS = LAYERS + NORMS + POOLS + PICTURES + SAMPLES + LISTS + SEQUENCES + CONTROL
