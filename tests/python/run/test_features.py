"""What models say of inputs and outputs: images, ranges, enumerated shapes, classifiers; and `inspect` of them."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol

import tintype
from tintype.cli.app import run_command
from tintype.run import TensorInfo
from tintype.run.package import read_package

TARGET = ct.target.iOS17


def symbols(*shape: int | None) -> tuple[Any, ...]:
    return tuple(get_new_symbol() if n is None else n for n in shape)


def image(shape: Any, layout: Any = ct.colorlayout.RGB) -> list[Any]:
    return [ct.ImageType("x", shape=shape, color_layout=layout)]


#: name → shape of the program's input, what coremltools is told of it, and what the model says then.
KINDS: dict[str, tuple[tuple[int | None, ...], Any, TensorInfo]] = {
    "fixed": ((2, 3), None, TensorInfo("x", "float32", (2, 3))),
    "ranges": (
        (None, 3, None),
        [ct.TensorType("x", shape=(ct.RangeDim(1, 12, 4), 3, ct.RangeDim(3, 9, 6)))],
        TensorInfo("x", "float32", (4, 3, 6), ranges=((1, 12), (3, 3), (3, 9))),
    ),
    "enumerated": (
        (None, 3),
        [ct.TensorType("x", shape=ct.EnumeratedShapes([(2, 3), (5, 3)], default=(2, 3)))],
        TensorInfo("x", "float32", (2, 3), shapes=((2, 3), (5, 3))),
    ),
    "picture": ((1, 3, 4, 6), image((1, 3, 4, 6)), TensorInfo("x", "uint8", (4, 6, 3), False, "RGB")),
    "gray": (
        (1, 1, 4, 6),
        image((1, 1, 4, 6), ct.colorlayout.GRAYSCALE_FLOAT16),
        TensorInfo("x", "float16", (4, 6), False, "GRAYSCALE_FLOAT16"),
    ),
    "picture of ranges": (
        (1, 3, None, None),
        image((1, 3, ct.RangeDim(2, 8, 4), ct.RangeDim(3, 9, 6)), ct.colorlayout.BGR),
        TensorInfo("x", "uint8", (4, 6, 3), False, "BGR", ranges=((2, 8), (3, 9), (3, 3))),
    ),
    "picture of sizes": (
        (1, 3, None, None),
        image(ct.EnumeratedShapes([(1, 3, 4, 6), (1, 3, 8, 2)], default=(1, 3, 4, 6))),
        TensorInfo("x", "uint8", (4, 6, 3), False, "RGB", shapes=((4, 6, 3), (8, 2, 3))),
    ),
}  # fmt: skip

#: What `inspect` prints of them.
LINES = {
    "fixed": "x float32 [2, 3]",
    "ranges": "x float32 [1 to 12, 3, 3 to 9]",
    "enumerated": "x float32 [2, 3] or [5, 3]",
    "picture": "x RGB image 6x4",
    "gray": "x GRAYSCALE_FLOAT16 image 6x4",
    "picture of ranges": "x BGR image (3 to 9) x (2 to 8)",
    "picture of sizes": "x RGB image 6x4 or 2x8",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pathlib.Path]:
    folder, made = tmp_path_factory.mktemp("features"), {}

    def make(name: str) -> pathlib.Path:
        if name not in made:
            shape, inputs, _ = KINDS[name]

            @mb.program(input_specs=[mb.TensorSpec(symbols(*shape))], opset_version=TARGET)
            def program(x: Any) -> Any:
                return mb.relu(x=x, name="y")

            model = ct.convert(program, inputs=inputs, minimum_deployment_target=TARGET, skip_model_load=True,
                               compute_precision=ct.precision.FLOAT32)  # fmt: skip
            made[name] = folder / f"{len(made)}.mlpackage"
            model.save(str(made[name]))
        return made[name]

    return make


@pytest.mark.parametrize("name", KINDS)
def test_the_package_and_the_model_say_the_same(package: Callable[[str], pathlib.Path], name: str) -> None:
    expected = KINDS[name][2]
    summary = read_package(package(name)).functions["main"]
    assert summary.inputs == (expected,)
    with tintype.load_model(package(name), backend="mlx") as model:
        (found,) = model.inputs
        assert (found.ranges, found.shapes) == (expected.ranges, expected.shapes)
        assert (found.name, found.dtype, found.color_layout) == ("x", expected.dtype, expected.color_layout)
        assert [(o.name, o.dtype, o.shape) for o in model.outputs] == [
            (o.name, o.dtype, o.shape) for o in summary.outputs
        ]


@pytest.mark.parametrize("name", LINES)
def test_inspect(
    package: Callable[[str], pathlib.Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["inspect", str(package(name))]) == 0
    assert f"  input  {LINES[name]}\n" in capsys.readouterr().out
    assert run_command(["inspect", "--json", str(package(name))]) == 0
    (row,) = json.loads(capsys.readouterr().out)["functions"]["main"]["inputs"]
    info = KINDS[name][2]
    said = {key: getattr(info, key) for key in ("color_layout", "ranges", "shapes") if getattr(info, key)}
    expected = {"name": "x", "dtype": info.dtype, "shape": info.shape, **said}
    assert row == json.loads(json.dumps(expected))


@pytest.mark.parametrize(("labels", "dtype"), [(["a", "b", "c"], "string"), ([3, 5, 4], "int64")])
def test_inspect_counts_a_classifiers_classes(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], labels: list[Any], dtype: str
) -> None:
    @mb.program(input_specs=[mb.TensorSpec((1, 3))], opset_version=TARGET)
    def program(x: Any) -> Any:
        return mb.softmax(x=x, name="probabilities")

    model = ct.convert(program, classifier_config=ct.ClassifierConfig(labels), skip_model_load=True,
                       minimum_deployment_target=TARGET, compute_precision=ct.precision.FLOAT32)  # fmt: skip
    model.save(str(tmp_path / "net.mlpackage"))
    assert run_command(["inspect", str(tmp_path / "net.mlpackage")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "main: 2 ops (1 classify, 1 softmax), a classifier of 3 classes" in lines
    assert f"  output classLabel {dtype} []" in lines
    assert "  output classLabel_probs float32 [3]" in lines


def test_an_input_without_a_limit_and_one_that_may_be_left_out(
    package: Callable[[str], pathlib.Path], capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    import shutil

    path = shutil.copytree(package("ranges"), tmp_path / "net.mlpackage")
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    kind = spec.description.input[0].type
    kind.multiArrayType.shapeRange.sizeRanges[0].upperBound = -1
    kind.multiArrayType.floatDefaultValue = 1
    kind.isOptional = True
    file.write_bytes(spec.SerializeToString())
    assert run_command(["inspect", str(path)]) == 0
    assert "  input  x float32 [1 or more, 3, 3 to 9], optional\n" in capsys.readouterr().out
    with tintype.load_model(path, backend="mlx") as model:
        assert model.inputs[0].ranges == ((1, -1), (3, 3), (3, 9))
        assert model.predict({"x": np.ones((40, 3, 3), np.float32)})["y"].shape == (40, 3, 3)
