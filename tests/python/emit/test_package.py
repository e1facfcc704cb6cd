"""Packages: accepted by coremltools, and the same bytes that its own writers give."""

import json
from pathlib import Path

import numpy as np
import pytest

from tintype import layers as nn
from tintype.bundle import Bundle
from tintype.emit.package import write_package
from tintype.errors import ConversionError
from tintype.layers import Graph, IOSpec, MILProgram, Var, build_program
from tintype.weight import ComputedWeight

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")


class Random:
    """A provider of random tensors."""

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        rng = np.random.default_rng(len(key))
        value = rng.standard_normal(shape).astype(np.float32)
        return ComputedWeight(key, shape, lambda: value)

    def __contains__(self, key: object) -> bool:
        return True


@pytest.fixture
def small() -> MILProgram:
    """linear, GELU, linear in float16, with a float32 island."""

    def body(g: Graph, x: Var) -> dict[str, Var]:
        y = nn.activation(g, nn.linear(g, x, "up", 32), "gelu")
        y = nn.rms_norm(g, nn.linear(g, y, "down", 16), "norm", 1e-6)
        return {"y": nn.add(g, x, y, output="y")}

    return build_program((IOSpec("x", "float16", (1, 4, 16)),), Random(), "float16", body)


def test_same_weights_and_program_as_coremltools_writes(small: MILProgram, tmp_path: Path) -> None:
    """The stock exporter, given the same program with real values, writes the same two files."""
    from coremltools import proto
    from coremltools.converters.mil.backend.mil.load import load

    write_package(small, tmp_path / "ours.mlpackage")
    for op in small.program.functions["main"].operations:
        if op.op_type == "const" and op.name in small.weights:
            var = op.outputs[0]
            var._sym_val.val = small.weights[op.name].array(var.val.dtype).reshape(var.shape)
    (tmp_path / "theirs").mkdir()
    spec = load(small.program, str(tmp_path / "theirs"), specification_version=9)
    theirs = (tmp_path / "theirs" / "weight.bin").read_bytes()
    assert (tmp_path / "ours.mlpackage" / WEIGHTS).read_bytes() == theirs
    ours = proto.Model_pb2.Model()
    ours.ParseFromString((tmp_path / "ours.mlpackage" / MODEL).read_bytes())
    assert ours == spec


def test_coremltools_loads_every_package(sd3_half: Bundle) -> None:
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load

    for name, component in sd3_half.components.items():
        path = sd3_half.package_paths(name)[0]
        before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
        spec = ct.utils.load_spec(str(path))
        assert spec.specificationVersion == 9
        assert [f.name for f in spec.description.input] == [s.name for s in component.inputs]
        assert [f.name for f in spec.description.output] == [s.name for s in component.outputs]
        for feature, tensor in zip(spec.description.input, component.inputs, strict=True):
            assert tuple(feature.type.multiArrayType.shape) == tensor.shape
        program = load(spec, spec.specificationVersion, str((path / WEIGHTS).parent))
        assert len(program.functions["main"].operations) > 0
        model = ct.models.MLModel(str(path), skip_model_load=True)
        assert model.get_spec().WhichOneof("Type") == "mlProgram"
        # coremltools rewrites the manifest of a package that it opens: ours is already as it would have it
        assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before


def test_same_program_same_bytes(small: MILProgram, tmp_path: Path) -> None:
    for name in ("a.mlpackage", "b.mlpackage"):
        write_package(small, tmp_path / name)
    for path in (Path("Manifest.json"), MODEL, WEIGHTS):
        assert (tmp_path / "a.mlpackage" / path).read_bytes() == (
            tmp_path / "b.mlpackage" / path
        ).read_bytes()


def test_manifest(small: MILProgram, tmp_path: Path) -> None:
    write_package(small, tmp_path / "m.mlpackage")
    manifest = json.loads((tmp_path / "m.mlpackage" / "Manifest.json").read_text())
    entries = manifest["itemInfoEntries"]
    assert manifest["fileFormatVersion"] == "1.0.0"
    assert entries[manifest["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert sorted(e["name"] for e in entries.values()) == ["model.mlmodel", "weights"]


def test_full_disk_is_noticed_before_writing(
    small: MILProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        ConversionError, match=r"m\.mlpackage needs .* MB, but its disk has 0\.0 MB left: free"
    ):
        write_package(small, tmp_path / "m.mlpackage")
    assert not (tmp_path / "m.mlpackage").exists()


def test_progress(small: MILProgram, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    write_package(small, tmp_path / "m.mlpackage", lambda done, total: heard.append((done, total)))
    size = (tmp_path / "m.mlpackage" / WEIGHTS).stat().st_size
    assert heard[-1] == (size, size)
