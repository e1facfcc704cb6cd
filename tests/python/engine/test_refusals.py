"""Bad packages and bad inputs: a clear text, never a crash."""

import contextlib
import shutil

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, build, ct, mb, run, save

X = np.ones((2, 3), np.float32)
WEIGHT = np.arange(30, dtype=np.float32).reshape(10, 3)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A linear layer whose weight lies in weight.bin."""
    program = build(lambda x: mb.linear(x=x, weight=WEIGHT), {"x": X})
    return save(program, tmp_path_factory.mktemp("refusals") / "net.mlpackage")


@pytest.fixture
def copy(package, tmp_path):
    return shutil.copytree(package, tmp_path / "net.mlpackage")


def model_file(path):
    return path / "Data/com.apple.CoreML/model.mlmodel"


def weight_file(path):
    return path / "Data/com.apple.CoreML/weights/weight.bin"


def refusal(path):
    with pytest.raises(ctypes_api.EngineError) as caught:
        ctypes_api.Model(path)
    return caught.value.status, str(caught.value)


def edit(path, change):
    spec = ct.proto.Model_pb2.Model.FromString(model_file(path).read_bytes())
    block = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
    change(block.operations)
    model_file(path).write_bytes(spec.SerializeToString())


def test_the_package_itself_runs(package):
    engine = ctypes_api.Model(package)
    output = next(iter(engine.predict({"x": X}).values()))
    np.testing.assert_allclose(output, X @ WEIGHT.T)


@pytest.mark.parametrize("size", [0, 10, 64, 100, 127, 130])
def test_truncated_weights(copy, size):
    content = weight_file(copy).read_bytes()
    weight_file(copy).write_bytes(content[:size])
    status, text = refusal(copy)
    assert status == ctypes_api.FORMAT
    assert text.startswith("[weight.bin] ")
    assert text.endswith("The file is damaged or cut short: convert or download the package again.")


def test_missing_weights(copy):
    weight_file(copy).unlink()
    assert refusal(copy) == (
        ctypes_api.FORMAT,
        '[model.mlmodel] a weight file is missing, got "@model_path/weights/weight.bin". '
        "Convert or download the package again.",
    )


@pytest.mark.parametrize("seed", range(40))
def test_corrupted_model_is_refused_or_runs(copy, seed):
    rng = np.random.RandomState(seed)
    content = bytearray(model_file(copy).read_bytes())
    for _ in range(1 + seed % 5):
        content[rng.randint(len(content))] = rng.randint(256)
    model_file(copy).write_bytes(bytes(content))
    with contextlib.suppress(ctypes_api.EngineError):
        ctypes_api.Model(copy).predict({"x": X})


def test_truncated_model(copy):
    content = model_file(copy).read_bytes()
    for size in range(0, len(content), 37):
        model_file(copy).write_bytes(content[:size])
        status, text = refusal(copy)
        assert status in (ctypes_api.FORMAT, ctypes_api.UNSUPPORTED)
        assert text


def test_unknown_op(copy):
    def change(operations):
        operations[-1].type = "liner"

    edit(copy, change)
    status, text = refusal(copy)
    assert status == ctypes_api.UNSUPPORTED
    assert "unknown op" in text
    assert 'Did the converter mean "linear"?' in text or "docs/adding_an_op.md" in text


def test_weight_of_another_dtype_than_declared(copy):
    content = bytearray(weight_file(copy).read_bytes())
    content[68] = 14  # int32 instead of float32
    weight_file(copy).write_bytes(bytes(content))
    status, text = refusal(copy)
    assert status == ctypes_api.FORMAT
    assert "its weight in the file has another dtype, got int32, expected float32" in text


def test_declared_shape_that_no_result_has(copy):
    def change(operations):
        for operation in operations:
            if operation.type == "linear":
                operation.outputs[0].type.tensorType.dimensions[1].constant.size = 11

    edit(copy, change)
    with pytest.raises(ctypes_api.EngineError, match=r"got \[2, 10\], expected \[2, 11\]"):
        ctypes_api.Model(copy).predict({"x": X})


INPUTS = {
    "dtype": (X.astype(np.float16), '[input "x"] wrong dtype, got float16, expected float32. '
              "Convert the array to float32."),
    "shape": (X.T.copy(), '[input "x"] wrong shape, got [3, 2], expected [2, 3]. '
              "Reshape the array, or convert the model for this shape."),
    "rank": (X[None], '[input "x"] wrong shape, got [1, 2, 3], expected [2, 3]. '
             "Reshape the array, or convert the model for this shape."),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_wrong_input(package, name):
    value, expected = INPUTS[name]
    with pytest.raises(ctypes_api.EngineError) as caught:
        ctypes_api.Model(package).predict({"x": value})
    assert (caught.value.status, str(caught.value)) == (ctypes_api.INVALID_ARGUMENT, expected)


def test_missing_and_unknown_input(package):
    engine = ctypes_api.Model(package)
    with pytest.raises(ctypes_api.EngineError, match=r'\[input "x"\] it is missing. The model needs "x".'):
        engine.predict({})
    with pytest.raises(
        ctypes_api.EngineError, match=r'\[input "q"\] the model has no such input, expected "x".'
    ):
        engine.predict({"x": X, "q": X})


def test_any_strides(package):
    engine = ctypes_api.Model(package)
    base = np.arange(48, dtype=np.float32).reshape(4, 12)
    for view in (base[::2, 1:4], base[1::-1, 6:0:-2], base[:3, :2].T, np.broadcast_to(np.float32(2), (2, 3))):
        np.testing.assert_allclose(next(iter(engine.predict({"x": view}).values())), view @ WEIGHT.T)


def test_index_out_of_range_is_refused():
    case = Case(
        "gather", lambda x, i: mb.gather(x=x, indices=i, axis=0), {"x": X, "i": np.array([5], np.int32)}
    )
    text = r'\[gather "gather_\d+"\] an index lies outside its axis, got 5, expected -2 to 1'
    with pytest.raises(ctypes_api.EngineError, match=text):
        run(case)


def test_computed_index_out_of_range_stays_inside():
    def op(x, i):
        return mb.gather(x=x, indices=mb.mul(x=i, y=np.int32(1000)), axis=0)

    got = run(Case("gather", op, {"x": X, "i": np.array([5, -5], np.int32)}))[0]
    np.testing.assert_array_equal(got, X)


@pytest.mark.parametrize("shape", [[1 << 20, 1 << 20, 4], [1 << 30, 1 << 30, 1 << 30], [-1, 2, 2]], ids=str)
def test_a_result_beyond_memory_is_refused(shape):
    """Also where the count of elements wraps around 64 bits."""
    case = Case("fill", lambda x: mb.fill(shape=x, value=1.0), {"x": np.array(shape, np.int32)})
    with pytest.raises(ctypes_api.EngineError, match=r"larger than memory|the shape is negative"):
        run(case)


def set_numbers(path, name, numbers):
    """Writes other integers into the constants named `name` of the program's ops."""
    spec = ct.proto.Model_pb2.Model.FromString(model_file(path).read_bytes())
    block = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
    for operation in block.operations:
        if operation.type == "const" and operation.outputs[0].name.endswith(name):
            operation.attributes["val"].immediateValue.tensor.ints.values[:] = numbers
    model_file(path).write_bytes(spec.SerializeToString())


IMAGE = np.ones((1, 4, 6, 6), np.float32)
FILTERS = np.ones((4, 4, 3, 3), np.float32)
PARAMETERS = {
    "axis": (lambda x: mb.softmax(x=x, axis=1), "axis_0", [9],
             'parameter "axis" is no axis of the tensor, got 9, expected -4 to 3.'),
    "axes": (lambda x: mb.reduce_sum(x=x, axes=[1]), "axes_0", [-5],
             'parameter "axes" is no axis of the tensor, got -5, expected -4 to 3.'),
    "groups": (lambda x: mb.conv(x=x, weight=FILTERS), "groups_0", [3],
               "groups do not divide the channels, got 3, expected a divisor of 4."),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_that_no_builder_writes(name, tmp_path):
    op, constant, numbers, text = PARAMETERS[name]
    path = save(build(op, {"x": IMAGE}), tmp_path / "net.mlpackage")
    set_numbers(path, constant, numbers)
    with pytest.raises(ctypes_api.EngineError) as caught:
        ctypes_api.Model(path).predict({"x": IMAGE})
    assert str(caught.value).endswith(text)
