"""Calls of the C ABI that are refused: NULLs, names, inputs, images, states, results."""

import contextlib
import ctypes as c
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from .. import ctypes_api
from .programs import Block, Const, Op, Program, f, i, refusal, specification, tensor_type, write

#: Runs into a refusal with a folder of its own; its text. {n} stands for a number that differs.
Case = tuple[Callable[[pathlib.Path], str], str]

PROGRESS = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_double)
RELU = Op("relu", {"x": f(2, 3)})


def text_of(name: str, *arguments) -> str:
    """What one function of the table says is wrong."""
    error = c.c_void_p()
    status = getattr(ctypes_api.api(), name)(*arguments, c.byref(error))
    return refusal(lambda: ctypes_api.check(status, error))


@contextlib.contextmanager
def loaded(folder: pathlib.Path, program: Program | None = None) -> Iterator[ctypes_api.Model]:
    yield ctypes_api.Model(write(folder, program or Program([RELU])))


def handle(call: Callable[[c.c_void_p], str]) -> Callable[[pathlib.Path], str]:
    """`call` with the handle of a model."""

    def provoke(folder):
        with loaded(folder) as model:
            return call(model._handle)

    return provoke


OUT, TENSOR, FEATURE = c.c_void_p(), ctypes_api.Tensor(), ctypes_api.Feature()
SIZE = ctypes_api.PredictOptions(1)


def result(call: Callable[[c.c_void_p], str]) -> Callable[[pathlib.Path], str]:
    """`call` with the handle of a result."""

    def provoke(folder):
        with loaded(folder) as model:
            made, error, values = c.c_void_p(), c.c_void_p(), f(2, 3)
            tensor = ctypes_api.tensor_of("x", values)
            status = ctypes_api.api().predict(
                model._handle, None, c.byref(tensor), 1, c.byref(made), c.byref(error)
            )
            ctypes_api.check(status, error)
            try:
                return call(made)
            finally:
                ctypes_api.api().result_free(made)

    return provoke


NULLS: list[Case] = [
    (lambda _: text_of("model_load", None, None, c.byref(OUT)), "the path is NULL."),
    (lambda _: text_of("model_load", b"net", None, None), "there is no place for the model (NULL)."),
    (lambda _: text_of("model_load", b"net", c.byref(ctypes_api.LoadOptions(1)), c.byref(OUT)),
     "tt_load_options has another size than this library's."),
    (lambda _: text_of("feature", None, None, 0, 0, c.byref(FEATURE)), "the model is NULL."),
    (handle(lambda m: text_of("feature", m, b"q", 0, 0, c.byref(FEATURE))), 'no function "q", expected "main". '
     "Name one of them or none."),
    (handle(lambda m: text_of("feature", m, None, 0, 0, None)), "there is no place for the feature (NULL)."),
    (handle(lambda m: text_of("feature", m, None, 7, 0, c.byref(FEATURE))), "unknown feature kind 7."),
    (handle(lambda m: text_of("feature", m, None, 0, 9, c.byref(FEATURE))), "feature 9 does not exist, there are 1."),
    (lambda _: text_of("predict", None, None, None, 0, c.byref(OUT)), "the model is NULL."),
    (handle(lambda m: text_of("predict", m, None, None, 0, None)), "there is no place for the result (NULL)."),
    (handle(lambda m: text_of("predict", m, None, None, 1, c.byref(OUT))), "the inputs are NULL."),
    (handle(lambda m: text_of("predict", m, c.byref(SIZE), None, 0, c.byref(OUT))),
     "tt_predict_options has another size than this library's."),
    (lambda _: text_of("result_tensor", None, 0, c.byref(TENSOR)), "the result is NULL."),
    (result(lambda r: text_of("result_tensor", r, 0, None)), "there is no place for the tensor (NULL)."),
    (result(lambda r: text_of("result_tensor", r, 5, c.byref(TENSOR))), "output 5 does not exist, there are 1."),
    (lambda _: text_of("state_new", None, None, c.byref(OUT)), "the model is NULL."),
    (handle(lambda m: text_of("state_new", m, None, None)), "there is no place for the state (NULL)."),
    (handle(lambda m: text_of("state_new", m, b"q", c.byref(OUT))), 'no function "q", expected "main". '
     "Name one of them or none."),
    (lambda _: text_of("state_tensor", None, b"s", c.byref(TENSOR)), "the state is NULL."),
    (lambda _: text_of("compute_plan", None, None, c.byref(OUT)), "the path is NULL."),
    (lambda _: text_of("compute_plan", b"net", None, None), "there is no place for the plan (NULL)."),
    (lambda _: text_of("compute_plan", b"net", None, c.byref(OUT)),
     "only Core ML plans where ops run; the engine runs all of them on one device."),
    (lambda _: text_of("verdict_file", None, None, c.byref(OUT)), "the path is NULL."),
    (lambda _: text_of("verdict_file", b"net", None, None), "there is no place for the file's path (NULL)."),
    (lambda _: text_of("verdict_file", b"net", None, c.byref(OUT)),
     "the engine is not left for another backend, so nothing is kept of it."),
]  # fmt: skip


def predict(inputs: dict[str, np.ndarray] | list[ctypes_api.Tensor], program: Program | None = None,
            function: str | None = None) -> Callable[[pathlib.Path], str]:  # fmt: skip
    def provoke(folder):
        with loaded(folder, program) as model:
            if isinstance(inputs, dict):
                return refusal(lambda: model.predict(inputs, function))
            tensors = (ctypes_api.Tensor * len(inputs))(*inputs)
            return text_of("predict", model._handle, None, tensors, len(inputs), c.byref(OUT))

    return provoke


def tensor(shape: tuple[int, ...] = (2, 3), data: int | None = None, **parts) -> ctypes_api.Tensor:
    """A tensor "x" that says what no array does."""
    made = ctypes_api.Tensor(b"x", data, 10, len(shape))
    for axis, size in enumerate(shape):
        made.shape[axis] = size
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def default(model):
    model.description.input[0].type.isOptional = True


def default_of(value: float):
    def change(model):
        default(model)
        model.description.input[0].type.multiArrayType.floatDefaultValue = value

    return change


def shown(*shape: int, dtype=np.float32) -> np.ndarray:
    """One number, repeated by strides of 0."""
    return np.broadcast_to(dtype(1), shape)


SIDE = 2**20
WIDE = Program([Op("relu", {"x": shown(SIDE, SIDE)})])
NEEDS = 'The model needs "x".'
INPUTS: list[Case] = [
    (predict({}, function="q"), 'no function "q", expected "main". Name one of them or none.'),
    (predict({}), f'[input "x"] it is missing. {NEEDS}'),
    (predict({"q": f(2)}), '[input "q"] the model has no such input, expected "x".'),
    (predict({"x": np.ones((2, 3))}), '[input "x"] wrong dtype, got float64, expected float32. '
     "Convert the array to float32."),
    (predict({"x": f(3)}), '[input "x"] wrong shape, got [3], expected [2, 3]. '
     "Reshape the array, or convert the model for this shape."),
    (predict([tensor(name=None)]), 'input 0 has no name, expected "x".'),
    (predict([tensor()]), '[input "x"] its data is NULL.'),
    (predict([tensor(), tensor()]), '[input "x"] it is given twice.'),
    (predict([tensor(data=8, rank=9)]), '[input "x"] impossible rank, got 9, expected 0 to 8.'),
    (predict([tensor((2**31, 3), data=8)]), '[input "x"] impossible shape, got [2147483648, 3], expected [2, 3].'),
    (predict({}, Program([Op("relu", {"x": shown(SIDE, SIDE)})], change=default)),
     f'[input "x"] its default value is larger than memory, got [{SIDE}, {SIDE}]. '
     "Give the input, or use a smaller model."),
    (predict({}, Program([Op("abs", {"x": i(1, 2)})], change=default_of(2.0**40))),
     '[input "x"] its default value does not fit its type, got 1.09951e+12, expected an int32. Give the input.'),
    (predict({}, Program([Op("abs", {"x": i(1, 2)})], change=default_of(2.5))),
     '[input "x"] its default value does not fit its type, got 2.5, expected an int32. Give the input.'),
    (predict({"x": shown(SIDE, SIDE)}, WIDE), '[input "x"] its values are no dense array, and a copy is larger '
     f"than memory, got [{SIDE}, {SIDE}]. Hand in a dense array, or use a smaller input."),
]  # fmt: skip


def image(width: tuple[int, int] = (3, 3), **options) -> Program:
    """A picture of two lines, in gray."""

    def change(model):
        image = model.description.input[0].type.imageType
        image.width, image.height, image.colorSpace = 3, 2, 10
        if width != (3, 3):
            sizes = image.imageSizeRange
            for side in (sizes.widthRange, sizes.heightRange):
                side.lowerBound, side.upperBound = width
        shape = model.mlProgram.functions["main"].inputs[0].type.tensorType
        for dimension in list(shape.dimensions)[2:]:
            dimension.unknown.variadic = False

    return Program([Op("relu", {"x": f(1, 1, 2, 3)})], change=change, **options)


def pixels(*shape: int) -> dict[str, np.ndarray]:
    return {"x": shown(*shape, dtype=np.uint8)}


IMAGES: list[Case] = [
    (predict(pixels(2, 4), image()), '[input "x"] wrong size of the image, got width 4, height 2, '
     "expected width 3, height 2. Scale the picture."),
    (predict({"x": f(2, 3)}, image()), '[input "x"] wrong dtype of the image, got float32, expected uint8. '
     "Convert the picture."),
    (predict(pixels(2, 3, 3), image()), '[input "x"] wrong shape of the image, got [2, 3, 3], '
     "expected [height, width]. Convert the picture."),
    (predict(pixels(SIDE, SIDE), image((1, -1))), f'[input "x"] the image is larger than memory, got width {SIDE}, '
     f"height {SIDE}. Scale the picture."),
    (predict([tensor(dtype=3)], image()), '[input "x"] its data is NULL.'),
]  # fmt: skip


WRITE = Op("write_state", {"input": "@s", "data": Const(np.ones(3, np.float32))}, outputs=())
STATEFUL = Program([Op("read_state", {"input": "@s"})], states={"s": f(2)})


@contextlib.contextmanager
def state(model: ctypes_api.Model) -> Iterator[c.c_void_p]:
    made, error = c.c_void_p(), c.c_void_p()
    ctypes_api.check(ctypes_api.api().state_new(model._handle, None, c.byref(made), c.byref(error)), error)
    try:
        yield made
    finally:
        ctypes_api.api().state_free(made)


def called(model: ctypes_api.Model, state: c.c_void_p | None = None, progress=None) -> str:
    options = ctypes_api.PredictOptions(c.sizeof(ctypes_api.PredictOptions), None, state,
                                        c.cast(progress, c.c_void_p) if progress else None)  # fmt: skip
    return text_of("predict", model._handle, c.byref(options), None, 0, c.byref(OUT))


def with_state(call: Callable[[ctypes_api.Model, c.c_void_p], str], program: Program = STATEFUL
               ) -> Callable[[pathlib.Path], str]:  # fmt: skip
    def provoke(folder):
        with loaded(folder, program) as model, state(model) as made:
            return call(model, made)

    return provoke


def foreign_state(folder: pathlib.Path) -> str:
    with loaded(folder, STATEFUL) as model, state(model) as made:
        other = folder / "other"
        other.mkdir()
        with loaded(other, STATEFUL) as second:
            return called(second, made)


def used_state(model: ctypes_api.Model, made: c.c_void_p) -> str:
    """The progress function reads the state that the predict under way holds."""
    texts = []

    def progress(_context, _fraction):
        texts.append(text_of("state_tensor", made, b"s", c.byref(TENSOR)))
        return 1

    called(model, made, PROGRESS(progress))
    return texts[0]


def huge_state(folder: pathlib.Path) -> str:
    with loaded(
        folder, Program([Op("read_state", {"input": "@s"})], states={"s": shown(SIDE, SIDE)})
    ) as model:
        return text_of("state_new", model._handle, None, c.byref(OUT))


def text_state(folder: pathlib.Path) -> str:
    def change(model):
        wrapped = model.mlProgram.functions["main"].inputs[0].type.stateType.wrappedType
        wrapped.CopyFrom(tensor_type(str, (2,)))

    program = Program([Op("read_state", {"input": "@s"})], states={"s": f(2)}, change=change)
    with loaded(folder, program) as model:
        return text_of("state_new", model._handle, None, c.byref(OUT))


STATES: list[Case] = [
    (text_state, "no tensors of this type, got string, expected numbers or bools."),
    (lambda folder: called(ctypes_api.Model(write(folder, STATEFUL))),
     '[function "main"] it keeps "s" in a state, and the call has none. Make one for the model and hand it to '
     "every predict."),
    (foreign_state, '[function "main"] the state is of another model or function. Make one for this function.'),
    (with_state(used_state), "the state is in use by another call. Wait for it, or make a state for each."),
    (with_state(lambda _, s: text_of("state_tensor", s, b"q", c.byref(TENSOR))), 'no state "q", expected "s".'),
    (with_state(lambda _, s: text_of("state_tensor", s, None, c.byref(TENSOR))), "the name is NULL."),
    (with_state(lambda _, s: text_of("state_tensor", s, b"s", None)), "there is no place for the tensor (NULL)."),
    (huge_state, f'[state "s"] the states are larger than memory, got float32 [{SIDE}, {SIDE}], '
     "expected at most {n} MiB in all. Close other programs, or use a smaller model."),
    (with_state(lambda m, s: called(m, s, PROGRESS(lambda *_: 1))), "the predict was cancelled."),
    (with_state(called, Program([WRITE], states={"s": f(2)}, outputs=())),
     '[write_state "y"] the state has another shape, got [3], expected [2].'),
]  # fmt: skip


def run(*ops: Op, **parts) -> Callable[[pathlib.Path], str]:
    program = Program(ops, **parts)
    return lambda folder: predict(specification(program)[1], program)(folder)


def fill(*shape: int) -> Op:
    return Op("fill", {"shape": list(shape), "value": 1.0})


RESULTS: list[Case] = [
    (run(fill(50, 2**30)), '[fill "y"] the results are larger than memory, got [50, 1073741824] and 0 MiB beside it, '
     "expected at most {n} MiB. Close other programs, or use a smaller model or input."),
    (run(fill(2**30, 2**30)), '[fill "y"] the result is larger than memory, got [1073741824, 1073741824]. '
     "Use a smaller model or input."),
    (run(Op("sliding_windows", {"x": f(2**30, 0), "axis": 0, "size": 2**15})),
     '[sliding_windows "y"] what it computes on the way is larger than memory, got [1073709057, 32768]. '
     "Close other programs, or use a smaller model or input."),
    (run(Op("sliding_windows", {"x": f(2**20, 0), "axis": 0, "size": 2**14})),
     '[sliding_windows "y"] what it computes on the way is larger than memory, got {n} MiB and 0 MiB beside it, '
     "expected at most {n} MiB. Close other programs, or use a smaller model or input."),
    (run(Op("relu", {"x": f(2, 3)}, (np.float32, (2, 4)))),
     '[relu "y"] the result is not what the program declares, got [2, 3], expected [2, 4]. '
     "The program contradicts itself: convert it again."),
    (run(Op("relu", {"x": f(2, 3)}, outputs=("y", "z"))), '[relu "y"] wrong count of outputs, got 2, expected 1. '
     "The program contradicts itself: convert it again."),
    (run(Op("cond", {"pred": True}, blocks=(Block(("a",), (), ("a",)), Block()))),
     "[block] wrong count of inputs, got 0, expected 1. The program contradicts itself: convert it again."),
    (run(Op("const", {"val": "a text"}, (str, ()))), '[output "y"] it is a text, expected a tensor. '
     "Convert the model without it."),
]  # fmt: skip

CASES = NULLS + INPUTS + IMAGES + STATES + RESULTS
