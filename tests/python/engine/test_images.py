"""Images as inputs and outputs: uint8 in RGB order outside, [1, channels, height, width] in any order inside."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol
from PIL import Image

import tintype
from tintype.cli.app import run_command
from tintype.errors import InvalidInputError, ModelFormatError

LAYOUTS = {
    "RGB": ct.colorlayout.RGB,
    "BGR": ct.colorlayout.BGR,
    "GRAYSCALE": ct.colorlayout.GRAYSCALE,
    "GRAYSCALE_FLOAT16": ct.colorlayout.GRAYSCALE_FLOAT16,
}


def save(path: Path, layout: str, shape: Any = None, scale: float = 1.0) -> Path:
    """A package that takes an image, multiplies channel 0 by `scale`, and gives it back as an image."""
    channels = 3 if layout in ("RGB", "BGR") else 1
    sides = (4, 6)
    factors = np.ones((1, channels, 1, 1), np.float32)
    factors[0, 0] = scale

    @mb.program(input_specs=[mb.TensorSpec((1, channels, *sides))], opset_version=ct.target.iOS16)
    def program(x: Any) -> Any:
        return mb.mul(x=x, y=factors, name="y")

    model = ct.convert(
        program,
        inputs=[ct.ImageType("x", shape or (1, channels, *sides), color_layout=LAYOUTS[layout])],
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.save(str(path))
    give_images(path)
    return path


def give_images(path: Path) -> None:
    """Make the outputs images as the inputs are: coremltools does not, where a program is not traced."""
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    spec.description.output[0].type.imageType.CopyFrom(spec.description.input[0].type.imageType)
    file.write_bytes(spec.SerializeToString())


@pytest.fixture(params=["mlx", "coreml"])
def backend(request: pytest.FixtureRequest) -> str:
    """The engine, and Core ML through the Swift runtime, which gives it pictures as pixel buffers."""
    name: str = request.param
    known = {row.name: row for row in tintype.backends()}
    if not known[name].available:
        pytest.skip(f"no {name} here: {known[name].reason}")
    return name


@pytest.fixture
def model(tmp_path: Path, backend: str) -> Callable[..., tintype.Model]:
    def load(layout: str, **options: Any) -> tintype.Model:
        return tintype.load_model(save(tmp_path / f"{layout}.mlpackage", layout, **options), backend=backend)

    return load


@pytest.fixture
def picture() -> Any:
    return np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


@pytest.mark.parametrize(("layout", "channel"), [("RGB", 0), ("BGR", 2)])
def test_color(model: Callable[..., tintype.Model], picture: Any, layout: str, channel: int) -> None:
    loaded = model(layout, scale=0.5)
    (info,) = loaded.inputs
    assert (info.dtype, info.shape, info.color_layout) == ("uint8", (4, 6, 3), layout)
    expected = picture.astype(np.float32)
    expected[..., channel] *= 0.5  # the program's channel 0
    for given in (picture, Image.fromarray(picture), picture[::-1][::-1]):
        output = loaded.predict({"x": given})["y"]
        assert output.dtype == np.uint8
        np.testing.assert_array_equal(output, np.round(expected).astype(np.uint8))
    if loaded.backend == "coreml":
        return
    planes = picture.transpose(2, 0, 1)[None].astype(np.float32)
    own = planes if layout == "RGB" else planes[:, ::-1]
    np.testing.assert_array_equal(loaded.predict({"x": np.ascontiguousarray(own)})["y"], output)


@pytest.mark.parametrize(("layout", "dtype"), [("GRAYSCALE", "uint8"), ("GRAYSCALE_FLOAT16", "float16")])
def test_gray(model: Callable[..., tintype.Model], picture: Any, layout: str, dtype: str) -> None:
    loaded = model(layout, scale=0.25)
    assert (loaded.inputs[0].dtype, loaded.inputs[0].shape) == (dtype, (4, 6))
    gray = np.asarray(Image.fromarray(picture).convert("L"))
    output = loaded.predict({"x": gray.astype(dtype)})["y"]
    assert output.dtype == np.dtype(dtype)
    expected = gray.astype(np.float32) * 0.25
    np.testing.assert_array_equal(output, np.round(expected).astype(dtype) if dtype == "uint8" else expected)
    np.testing.assert_array_equal(loaded.predict({"x": Image.fromarray(picture)})["y"], output)


@pytest.mark.parametrize(("scale", "expected"), [(1000.0, 255), (-3.0, 0), (np.nan, 0)])
def test_values_beyond_a_byte(model: Callable[..., tintype.Model], scale: float, expected: int) -> None:
    output = model("GRAYSCALE", scale=scale).predict({"x": np.full((4, 6), 9, np.uint8)})["y"]
    assert set(output.ravel().tolist()) == {expected}


def test_flexible_sizes(tmp_path: Path, backend: str) -> None:
    ranged = ct.Shape((1, 3, ct.RangeDim(2, 8, default=4), ct.RangeDim(3, 9, default=6)))

    @mb.program(
        input_specs=[mb.TensorSpec((1, 3, get_new_symbol(), get_new_symbol()))], opset_version=ct.target.iOS16
    )
    def program(x: Any) -> Any:
        return mb.add(x=x, y=np.float32(1), name="y")

    converted = ct.convert(
        program,
        inputs=[ct.ImageType("x", ranged)],
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    converted.save(str(tmp_path / "ranged.mlpackage"))
    give_images(tmp_path / "ranged.mlpackage")
    loaded = tintype.load_model(tmp_path / "ranged.mlpackage", backend=backend)
    assert loaded.inputs[0].shape == (-1, -1, 3)
    for height, width in ((2, 3), (8, 9), (5, 5)):
        output = loaded.predict({"x": np.zeros((height, width, 3), np.uint8)})["y"]
        assert output.shape == (height, width, 3)
        assert (output == 1).all()
    text = {
        "mlx": "width 10, height 5, expected width 3 to 9, height 2 to 8",
        "coreml": "is a picture of 10 × 5 pixels, the model takes 3 to 9 × 2 to 8",
    }
    with pytest.raises(InvalidInputError, match=text[backend]):
        loaded.predict({"x": np.zeros((5, 10, 3), np.uint8)})


@pytest.mark.parametrize(
    ("value", "problem", "problem_of_core_ml"),
    [
        (
            np.zeros((4, 6, 3), np.float32),
            "wrong dtype of the image, got float32, expected uint8",
            '"x" is float32, the model takes uint8',
        ),
        (
            np.zeros((4, 6, 4), np.uint8),
            r"wrong shape of the image, got \[4, 6, 4\], expected \[height, width, 3\]",
            r'"x" has shape \[4, 6, 4\], the model takes \[4, 6, 3\]',
        ),
        (np.zeros((4, 6), np.uint8), "wrong shape of the image", r'"x" has shape \[4, 6\]'),
        (
            np.zeros((6, 4, 3), np.uint8),
            "wrong size of the image, got width 4, height 6, expected width 6, height 4",
            '"x" is a picture of 4 × 6 pixels, the model takes 6 × 4; scale the picture',
        ),
        (
            Image.new("RGB", (5, 4)),
            "wrong size of the image, got width 5, height 4",
            '"x" is a picture of 5 × 4 pixels',
        ),
        (
            np.zeros((1, 3, 4, 6), np.uint8),
            "wrong dtype, got uint8, expected float32",
            r'"x" has shape \[1, 3, 4, 6\]',
        ),
        (np.zeros((1, 3, 4, 5), np.float32), "wrong shape", r'"x" has shape \[1, 3, 4, 5\]'),
    ],
)
def test_what_is_no_image(
    model: Callable[..., tintype.Model], value: Any, problem: str, problem_of_core_ml: str
) -> None:
    loaded = model("RGB")
    with pytest.raises(InvalidInputError, match=problem if loaded.backend == "mlx" else problem_of_core_ml):
        loaded.predict({"x": value})


def test_pictures_that_are_not_of_8_bits(model: Callable[..., tintype.Model]) -> None:
    loaded = model("GRAYSCALE")
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2731
    np.testing.assert_array_equal(
        loaded.predict({"x": Image.fromarray(deep)})["y"],
        loaded.predict({"x": (deep >> 8).astype(np.uint8)})["y"],
    )
    for mode in ("I", "F", "LAB"):
        with pytest.raises(InvalidInputError, match=rf'^input "x" is a picture of mode {mode}'):
            loaded.predict({"x": Image.new(mode, (6, 4))})


def test_a_picture_for_an_array(tmp_path: Path) -> None:
    @mb.program(input_specs=[mb.TensorSpec((2, 2))], opset_version=ct.target.iOS16)
    def program(x: Any) -> Any:
        return mb.relu(x=x, name="y")

    converted = ct.convert(program, minimum_deployment_target=ct.target.iOS16, skip_model_load=True)
    converted.save(str(tmp_path / "array.mlpackage"))
    with pytest.raises(InvalidInputError, match="is no image but float32"):
        tintype.load_model(tmp_path / "array.mlpackage", backend="mlx").predict({"x": Image.new("L", (2, 2))})


def test_a_program_that_cannot_hold_the_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mlpackage", "RGB")
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    spec.description.input[0].type.imageType.colorSpace = 10  # gray
    file.write_bytes(spec.SerializeToString())
    with pytest.raises(
        ModelFormatError, match=r"cannot hold the image, got \[1, 3, 4, 6\], expected \[1, 1, height, width\]"
    ):
        tintype.load_model(path, backend="mlx")
    spec.description.input[0].type.imageType.colorSpace = 7
    file.write_bytes(spec.SerializeToString())
    with pytest.raises(ModelFormatError, match="an image has no known color space"):
        tintype.load_model(path, backend="mlx")


def test_command_line(tmp_path: Path, picture: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "a.mlpackage", "BGR")
    Image.fromarray(picture).save(tmp_path / "in.png")
    arguments = ["run", str(path), "--backend", "mlx", "-o", str(tmp_path / "out.npz")]
    assert run_command([*arguments, "--input", f"x={tmp_path / 'in.png'}"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["y"], picture)
    capsys.readouterr()
    assert run_command([*arguments, "--input", f"x={tmp_path / 'in.png'}", "--stats", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outputs"] == [{"name": "y", "dtype": "uint8", "shape": [4, 6, 3]}]
    assert (report["backend"], report["reason"]) == ("mlx", "asked for")
    assert report["statistics"]["ops"]["mul"]["calls"] == 1
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert run_command([*arguments, "--input", f"x={tmp_path / 'no.png'}"]) != 0
    assert "cannot be read as an .npy file or a picture" in capsys.readouterr().err
