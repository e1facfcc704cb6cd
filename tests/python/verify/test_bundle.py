"""Verification end to end, and the gate that convert holds compressed bundles to."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.errors import ConversionError, TintypeError, UsageError
from tintype.run import BackendInfo, backends
from tintype.verify import bundle as module
from tintype.verify import gate_backends, record_accuracy, verify_backends

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def copy(sd3_half: Bundle, tmp_path: Path) -> Bundle:
    """A copy of sd3-medium-tiny in float16."""
    assert sd3_half.root is not None
    return Bundle.read(shutil.copytree(sd3_half.root, tmp_path / "bundle"))


def test_float16_passes_and_the_result_is_kept(copy: Bundle, data: Path) -> None:
    accuracy = verify_backends(copy, data / "sd3-medium-tiny")[0]
    assert set(accuracy.components) == set(names.COMPONENTS)
    assert accuracy.failures == ()
    assert accuracy.complaint == ""
    assert min(v.psnr for v in accuracy.components.values()) > 50
    assert accuracy.run["image"].psnr > 40
    record_accuracy(copy, accuracy)
    assert copy.root is not None
    stored = Bundle.read(copy.root)
    assert stored.accuracy == {"passed": True, "backends": {"mlx": accuracy.to_json()}}
    assert stored.components == copy.components
    assert sorted(p.name for p in copy.root.parent.iterdir()) == ["bundle"]


def test_a_damaged_component_is_found(copy: Bundle, data: Path) -> None:
    file = copy.package_paths(names.DENOISER)[0] / WEIGHTS
    blob = bytearray(file.read_bytes())
    weights = np.frombuffer(blob, np.float16, offset=len(blob) // 2 // 64 * 64)
    assert weights.size > 5000
    begin = len(blob) // 2 // 64 * 64
    blob[begin + 2048 : begin + 6144] = bytes(4096)
    file.write_bytes(blob)
    accuracy = verify_backends(copy, data / "sd3-medium-tiny")[0]
    assert accuracy.failures == (names.DENOISER, "image")
    assert accuracy.complaint.startswith("denoiser reaches ")
    assert "; the picture reaches " in accuracy.complaint
    assert not accuracy.to_json()["passed"]
    record_accuracy(copy, replace(accuracy, backend="coreml", components={}, run={}))
    assert copy.root is not None
    stored = record_accuracy(Bundle.read(copy.root), accuracy).accuracy
    assert stored["passed"] is False
    assert {name: row["passed"] for name, row in stored["backends"].items()} == {"coreml": True, "mlx": False}


def test_parts_of_a_pipeline_are_verified_too(data: Path, tmp_path: Path) -> None:
    import tintype

    source = data / "sd3-medium-tiny"
    bundle = tintype.convert(source, tmp_path / "part", target="ane", components=["denoiser", "vae_decoder"])
    accuracy = verify_backends(bundle, source)[0]
    assert list(accuracy.components) == ["modulation", "denoiser", "vae_decoder"]
    assert accuracy.failures == ()
    assert accuracy.run == {}


def test_core_mls_row_names_the_system(copy: Bundle, data: Path) -> None:
    """Its kernels are the system's: what was measured on one says little of another."""
    part = replace(copy, components={"vae_decoder": copy.component("vae_decoder")})
    rows = record_accuracy(part, *verify_backends(part, data / "sd3-medium-tiny", ("mlx", "coreml"))).accuracy
    coreml = next(b.details for b in backends() if b.name == "coreml")
    assert rows["backends"]["coreml"]["system"] == {
        "implementation": coreml["implementation"],
        "os": coreml["os"],
        "device": coreml["device"]["name"],
    }
    assert "system" not in rows["backends"]["mlx"]


def test_progress_counts_components_sizes_and_backends(data: Path, tmp_path: Path) -> None:
    import tintype

    source, sizes = data / "sd3-medium-tiny", [(64, 64), (96, 64)]
    bundle = tintype.convert(source, tmp_path / "b", components=["vae_decoder"], size=sizes)
    heard: list[tuple[str, int, int]] = []
    verify_backends(bundle, source, ("mlx", "coreml"), sizes="all", progress=lambda *row: heard.append(row))
    # The reference, two runs of it, and on each backend the decoder at both sizes.
    assert heard == [("measuring", n, 7) for n in range(8)]


def test_the_command_draws_progress(
    copy: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: dict[bool, list[str]] = {True: [], False: []}

    @contextmanager
    def bar(quiet: bool) -> Iterator[Callable[[str, float, float], None]]:
        yield lambda what, done, total: heard[quiet].append(f"{what} {done}/{total}")

    monkeypatch.setattr("tintype.cli.verify.progress_bar", bar)
    line = ["verify", str(copy.root), "--against", str(data / "sd3-medium-tiny")]
    assert run_command([*line, "--quiet"]) == 0
    assert heard[True][-1] == f"measuring {len(copy.components) + 3}/{len(copy.components) + 3}"
    assert run_command([*line, "--ranges"]) == 0
    assert heard[False][-1] == f"measuring {len(copy.components) + 2}/{len(copy.components) + 2}"
    capsys.readouterr()


def test_what_cannot_be_written_is_told_before_it_is_measured(
    copy: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    root, source = copy.root, data / "sd3-medium-tiny"
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", refuse)
        assert run_command(["verify", str(root), "--against", str(source)]) == 2
    assert "bundle.json cannot be written (Permission denied)" in capsys.readouterr().err
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(
        ConversionError, match=r"lies beside the bundle, but .* cannot be written \(Permission"
    ):
        verify_backends(copy, source)


def test_what_cannot_be(copy: Bundle, data: Path, demo: Bundle) -> None:
    with pytest.raises(UsageError, match="backend is 'cuda', expected one of auto, coreml, mlx"):
        verify_backends(copy, data / "sd3-medium-tiny", ["cuda"])
    with pytest.raises(TintypeError, match="another checkpoint"):
        verify_backends(demo, data / "sd3-medium-tiny")


def test_commands(copy: Bundle, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["verify", str(copy.root)]) == 1
    assert "was never verified: name its checkpoint with --against" in capsys.readouterr().err
    file = copy.package_paths(names.DENOISER)[0].parent / names.BUNDLE_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "accuracy": {"passed": True}}))
    assert run_command(["verify", str(copy.root)]) == 1  # results without a backend, of an older converter
    assert "was never verified" in capsys.readouterr().err
    assert run_command(["verify", str(copy.root), "--against", "nothing"]) == 1
    assert "nothing does not exist" in capsys.readouterr().err
    source = str(data / "sd3-medium-tiny")
    backends = ["--backend", "mlx", "--backend", "coreml"]
    assert run_command(["verify", str(copy.root), "--against", source, *backends]) == 0
    out = capsys.readouterr().out
    for backend in ("mlx", "coreml"):
        assert f"passed: components and picture on {backend}, at least 35 dB and 0.999" in out
    assert run_command(["verify", str(copy.root), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["backends"]
    assert list(rows) == ["mlx", "coreml"]
    assert all(row["run"]["image"]["psnr"] > 40 for row in rows.values())


def test_the_gate_runs_core_ml_where_it_is_apples(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gate_backends() == ("mlx",)
    apples = BackendInfo("coreml", True, "", {"implementation": "apple"})
    monkeypatch.setattr(module, "backends", lambda: [apples])
    assert gate_backends() == ("mlx", "coreml")


@pytest.mark.parametrize("target", ["gpu", "ane"])
def test_t5_passes_the_gate_with_int8(data: Path, tmp_path: Path, target: Any) -> None:
    """With q and k in 8 bits as well it had a cosine of 0.9984: its scores are not divided by √d."""
    import tintype

    source = data / "flux-dev-tiny"
    options: Any = {"target": target, "quantize": "int8", "components": ["text_encoder_3"], "size": (64, 64)}
    bundle = tintype.convert(source, tmp_path / "b", **options)
    accuracy = verify_backends(bundle, source)[0]
    assert bundle.component(names.TEXT_ENCODER_3).compression["weights"] > 0
    assert accuracy.components[names.TEXT_ENCODER_3].cosine > 0.9995
    assert accuracy.complaint == ""
