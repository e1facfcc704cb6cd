"""`read_package` against coremltools' own reading, and on damaged files."""

import contextlib
import pathlib
import random
import shutil

import pytest

from tintype.bundle import Bundle
from tintype.errors import ModelFileError, ModelFormatError
from tintype.run import load_model
from tintype.run.package import read_package

MODEL = "Data/com.apple.CoreML/model.mlmodel"


@pytest.fixture
def package(small_package: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(small_package, tmp_path / "copy.mlpackage"))


def test_a_package_of_coremltools(small_package: pathlib.Path) -> None:
    summary = read_package(small_package)
    assert summary.specification_version == 8
    main = summary.functions["main"]
    assert [(i.name, i.dtype, i.shape) for i in main.inputs] == [("x", "float16", (2, 3))]
    assert [(o.name, o.dtype, o.shape) for o in main.outputs] == [("y", "float16", (2, 64))]
    assert main.states == ()
    assert main.ops == {"linear": 1, "relu": 1}
    assert summary.parameters == 64 * 3 + 64
    assert summary.metadata["author"] == "Zoë"
    assert summary.metadata["key"] == "value"


def test_it_agrees_with_bundle_json_and_with_the_engine(demo: Bundle) -> None:
    for name, component in demo.components.items():
        path = demo.package_paths(name)[0]
        summary = read_package(path)
        main = summary.functions["main"]
        assert [(i.name, i.dtype, i.shape) for i in main.inputs] == [
            (i.name, i.dtype, i.shape) for i in component.inputs
        ]
        assert [(o.name, o.dtype, o.shape) for o in main.outputs] == [
            (o.name, o.dtype, o.shape) for o in component.outputs
        ]
        assert summary.weight_bytes == component.weight_bytes
        # Constants too small for the weight file are left out here.
        assert component.parameters - 64 <= summary.parameters <= component.parameters
        with load_model(path, "mlx") as model:
            described = {(i.name, i.dtype, i.shape) for i in model.inputs}
            assert described == {(i.name, i.dtype, i.shape) for i in main.inputs}
            ops = model.metadata["functions"]["main"]["ops"]
            assert {op: n for op, n in ops.items() if op != "const"} == dict(main.ops)


def test_what_is_no_package(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ModelFileError, match=r"is not an .mlpackage: it has no Data/com.apple.CoreML"):
        read_package(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no ML Program"),
        # field 1, a number that never ends
        (b"\x08" + b"\xff" * 12, r"is damaged \(a number ends outside the file"),
        # field 502 of 100 bytes, of which 2 follow
        (b"\xb2\x1f\x64\x01\x02", r"is damaged \(field 502 of 100 bytes does not fit\)"),
        # wire type 3 (a group) does not exist in these files
        (b"\x0b\x00", r"is damaged \(field 1 has the unknown wire type 3\)"),
        # field 502 as a number
        (b"\xb0\x1f\x07", r"is damaged \(field 502 is a number"),
    ],
)
def test_damaged_files(package: pathlib.Path, content: bytes, message: str) -> None:
    (package / MODEL).write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        read_package(package)


def test_random_damage_never_escapes(package: pathlib.Path) -> None:
    content = (package / MODEL).read_bytes()
    rng = random.Random(1)
    for _ in range(300):
        broken = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        (package / MODEL).write_bytes(broken[: rng.randint(0, len(broken))])
        with contextlib.suppress(ModelFormatError):
            read_package(package)
