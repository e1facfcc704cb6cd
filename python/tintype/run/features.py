"""What a package says of inputs, outputs and states: dtypes, images, and which shapes they take.

FeatureDescription       1 name, 3 type
FeatureType              1 int64, 2 double, 3 string, 4 image, 5 array, 6 dictionary, 8 state { 1 array },
                         1000 optional
ArrayFeatureType         1 shape, 2 dtype, 21 enumerated { 1 [ 1 shape ] },
                             31 ranges { 1 [ 1 least, 2 most ] }
ImageFeatureType         1 width, 2 height, 3 color layout, 21 enumerated { 1 [ 1 width, 2 height ] },
                         31 ranges { 1 width { 1 least, 2 most }, 2 height { … } }
"""

from dataclasses import dataclass

from .wire import first, integers, messages, number_of, text

__all__ = ["FunctionInfo", "TensorInfo", "feature"]

#: ArrayFeatureType.ArrayDataType → numpy's name.
ARRAY_DTYPES = {65568: "float32", 131104: "int32", 65600: "float64", 65552: "float16", 131080: "int8"}

#: ImageFeatureType.ColorSpace → name, the dtype that pictures travel with, and their channels.
COLORS = {
    10: ("GRAYSCALE", "uint8", ()),
    20: ("RGB", "uint8", (3,)),
    30: ("BGR", "uint8", (3,)),
    40: ("GRAYSCALE_FLOAT16", "float16", ()),
}

#: A label is one text or number; FeatureType's field → dtype.
LABELS = {1: "int64", 3: "string"}


@dataclass(frozen=True)
class TensorInfo:
    """One input, output or state. `shape` is None for any rank; -1 stands for a flexible extent.

    A flexible input's `shape` is its default one; it takes any shape within `ranges`, the least and the most
    of every axis (-1: no limit), or one of `shapes`. Both are empty where the shape is fixed.

    `color_layout` is None, or says that this is an image and how the program sees it (RGB, BGR, GRAYSCALE,
    GRAYSCALE_FLOAT16); then dtype and shape are those that pictures travel with: uint8 (height, width, 3) in
    RGB order, whatever the program's, or uint8 or float16 (height, width) in gray.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    optional: bool = False
    color_layout: str | None = None
    ranges: tuple[tuple[int, int], ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class FunctionInfo:
    """What a function of a model takes, gives and keeps."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    states: tuple[TensorInfo, ...]


def feature(data: memoryview) -> TensorInfo:
    """The FeatureDescription in `data`. An array whose shape is left out there has the shape None."""
    name, kind = text(first(data, 1)), first(data, 3)
    optional = bool(number_of(kind, 1000))
    array = first(kind, 5) or first(first(kind, 8), 1)
    if len(array):
        shapes = tuple(tuple(integers(shape, 1)) for shape in messages(first(array, 21), 1))
        ranges = tuple(_range(each) for each in messages(first(array, 31), 1))
        dtype = ARRAY_DTYPES.get(number_of(array, 2), "other")
        shape = tuple(integers(array, 1)) or (None if shapes or ranges else ())
        return TensorInfo(name, dtype, shape, optional, ranges=ranges, shapes=shapes)
    image = first(kind, 4)
    if len(image):
        return _image(name, image, optional)
    if len(list(messages(kind, 6))):
        return TensorInfo(name, "float32", None, optional)  # the probabilities of a classifier's classes
    label = next((dtype for number, dtype in LABELS.items() if list(messages(kind, number))), "other")
    return TensorInfo(name, label, (), optional)


def _image(name: str, data: memoryview, optional: bool) -> TensorInfo:
    layout, dtype, channels = COLORS.get(number_of(data, 3), ("other", "uint8", ()))

    def shape(size: memoryview) -> tuple[int, ...]:
        return (number_of(size, 2), number_of(size, 1), *channels)

    flexible = first(data, 31)
    ranges: tuple[tuple[int, int], ...] = ()
    if len(flexible):
        ranges = (_range(first(flexible, 2)), _range(first(flexible, 1)), *((n, n) for n in channels))
    shapes = tuple(shape(size) for size in messages(first(data, 21), 1))
    return TensorInfo(name, dtype, shape(data), optional, layout, ranges, shapes)


def _range(data: memoryview) -> tuple[int, int]:
    least, most = number_of(data, 1), number_of(data, 2)
    return least, most - (1 << 64) if most >> 63 else most
