"""`load_model` on the real engine: any package of coremltools, good and bad inputs, damaged files."""

import pathlib
import shutil

import numpy as np
import pytest

import tintype
from tintype import errors

DATA = "Data/com.apple.CoreML"


@pytest.fixture
def model(small_package: pathlib.Path):
    with tintype.load_model(small_package, backend="mlx") as opened:
        yield opened


@pytest.fixture
def copy(small_package: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(small_package, tmp_path / "copy.mlpackage"))


def test_it_runs(model: tintype.Model, small_weight: np.ndarray) -> None:
    x = np.asarray([[1, 2, 3], [-1, 0, 2]], np.float16)
    (name, y), *rest = model.predict({"x": x}).items()
    assert (name, rest) == ("y", [])
    assert (y.dtype, y.shape) == (np.float16, (2, 64))
    expected = np.maximum(x.astype(np.float32) @ small_weight.astype(np.float32).T, 0)
    np.testing.assert_allclose(y, expected, rtol=2e-3, atol=2e-3)


def test_strided_inputs_give_the_same(model: tintype.Model) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float16)
    expected = model.predict({"x": x})["y"]
    wide = np.zeros((4, 6), np.float16)
    wide[::2, 5::-2] = x
    for view in (np.asfortranarray(x), x[::-1].copy()[::-1], wide[::2, 5::-2], x.astype(">f2")):
        np.testing.assert_array_equal(model.predict({"x": view})["y"], expected)


def test_outputs_are_the_callers_own(model: tintype.Model) -> None:
    x = np.ones((2, 3), np.float16)
    first = model.predict({"x": x})["y"]
    kept = first.copy()
    second = model.predict({"x": -x})["y"]
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)
    first += 1  # writable
    np.testing.assert_array_equal(model.predict({"x": x})["y"], kept)


def test_it_describes_itself(model: tintype.Model, small_package: pathlib.Path) -> None:
    assert model.functions == ("main",)
    assert model.inputs == (tintype.run.TensorInfo("x", "float16", (2, 3)),)
    assert model.outputs == (tintype.run.TensorInfo("y", "float16", (2, 64)),)
    assert (model.backend, model.reason) == ("mlx", "asked for")
    assert model.metadata["specification_version"] == 8
    assert repr(model) == f"<tintype.Model '{small_package}' on mlx>"


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({}, ["x"]),
        ({"z": np.ones((2, 3), np.float16)}, ["z"]),
        ({"x": np.ones((2, 3), np.float16), "z": np.ones(1)}, ["z"]),
        ({"x": np.ones((2, 3), np.float32)}, ["x", "float32", "float16"]),
        (
            {"x": np.ones((2, 3), np.uint64)},
            ['[input "x"] wrong dtype, got uint64, expected float16. Convert the'],
        ),
        (
            {"x": np.ones((2, 3), object)},
            ['[input "x"] wrong dtype, got object, expected float16. Convert the'],
        ),
        ({"x": None}, ['input "x" is None: leave an optional input out, hand in an array for any other']),
        ({"x": np.ones((2, 4), np.float16)}, ["x", "4", "3"]),
        ({"x": np.ones((2, 3, 1), np.float16)}, ["x", "3"]),
        ({"x": np.ones((0, 3), np.float16)}, ["x", "0"]),
    ],
)
def test_wrong_inputs_name_the_value(model: tintype.Model, inputs: dict, named: list[str]) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        model.predict(inputs)
    for word in named:
        assert word in str(caught.value)
    assert model.predict({"x": np.ones((2, 3), np.float16)})  # and it still runs


X = {"x": np.ones((2, 3), np.float16)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.predict(X, function=3), "function is 3, expected a name or None: this model has main"),
        (lambda m: m.describe(b"main"), "function is b'main', expected a name or None: this model has main"),
        (lambda m: m.make_state(3), "function is 3, expected a name or None: this model has main"),
        (lambda m: m.predict(X, state=3), "state is 3, expected what make_state() returns or None"),
        (lambda m: m.predict(X, state=0), "state is 0, expected what make_state() returns or None"),
        (lambda m: m.predict(X, progress=3), "progress is 3, expected a function of one float or None"),
        (lambda m: m.predict({3: X["x"]}), "the name of an input is 3, expected a str"),
    ],
)
def test_arguments_of_other_types_are_named(model: tintype.Model, call, message: str) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        call(model)
    assert str(caught.value) == message


@pytest.mark.parametrize("path", [None, 3, b"net.mlpackage"])
def test_what_is_no_path(path) -> None:
    with pytest.raises(errors.UsageError) as caught:
        tintype.load_model(path)
    assert str(caught.value) == f"path is {path!r}, expected the path of an .mlpackage as a str or a Path"


def test_damaged_and_missing_files(copy: pathlib.Path) -> None:
    weights = copy / DATA / "weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(errors.ModelFormatError):
        tintype.load_model(copy, backend="mlx")
    weights.unlink()
    with pytest.raises((errors.ModelFileError, errors.ModelFormatError)):
        tintype.load_model(copy, backend="mlx")
    (copy / DATA / "model.mlmodel").write_bytes(b"\xff" * 1000)
    with pytest.raises(errors.ModelFormatError):
        tintype.load_model(copy, backend="mlx")
    (copy / DATA / "model.mlmodel").unlink()
    with pytest.raises(errors.EngineError):
        tintype.load_model(copy, backend="mlx")


def test_an_unknown_op_is_named(copy: pathlib.Path) -> None:
    file = copy / DATA / "model.mlmodel"
    file.write_bytes(file.read_bytes().replace(b"\x0a\x04relu", b"\x0a\x04rilu"))
    with pytest.raises(errors.UnsupportedModelError, match="rilu"):
        tintype.load_model(copy, backend="mlx")


def test_an_identity_of_the_input_may_be_written_to(identity_package: pathlib.Path) -> None:
    x = np.ones((2, 3), np.float32)
    with tintype.load_model(identity_package, backend="mlx") as model:
        y = model.predict({"x": x})["y"]
        y += 1
        np.testing.assert_array_equal(x, np.ones((2, 3)))
        np.testing.assert_array_equal(model.predict({"x": x})["y"], x)
