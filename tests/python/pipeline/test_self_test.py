"""A recorded step decides whether Core ML is trusted with a component."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.errors import BundleError, EngineError, InvalidInputError
from tintype.pipeline import stages
from tintype.run import FallbackWarning, load_model
from tintype.run.runtimes import INSTALLED, Runtimes
from tintype.verify import record_self_test, run_self_test

RUN = {"steps": 2, "seed": 1}


class AsCoreML:
    """A model of MLX that says it is Core ML's, and multiplies what it gives by `factor`."""

    def __init__(self, path: Path, factor: float) -> None:
        self._model, self._factor = load_model(path, names.MLX), factor
        self.backend, self.reason = names.COREML, "a test"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        outputs = self._model.predict(*arguments, **options)
        return {n: (v * np.float32(self._factor)).astype(v.dtype) for n, v in outputs.items()}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test remembers is of that test alone."""
    monkeypatch.setattr(stages, "INSTALLED", another_process(tmp_path))


def another_process(tmp_path: Path) -> Runtimes:
    """The installed runtimes as it would open them."""
    return Runtimes(INSTALLED.libraries, cache_folder=tmp_path / "cache")


@pytest.fixture
def recorded(sd3_half: Bundle, tmp_path: Path) -> Bundle:
    assert sd3_half.root is not None
    return record_self_test(Bundle.read(shutil.copytree(sd3_half.root, tmp_path / "bundle")))


def pretend(monkeypatch: pytest.MonkeyPatch, factor: float) -> list[Any]:
    """Core ML exists, and its denoiser is wrong by `factor`. The models that are loaded, as they come."""
    loaded: list[Any] = []

    def load(path: Path, backend: str, units: str, time_box: float | None) -> Any:
        on_mlx = backend == names.MLX or "denoiser" not in path.name
        loaded.append(load_model(path, names.MLX, units) if on_mlx else AsCoreML(path, factor))
        return loaded[-1]

    monkeypatch.setattr(stages, "load_model", load)
    return loaded


def test_a_system_that_is_right(recorded: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 1.0)
    with tintype.Pipeline.load(recorded) as pipeline, warnings.catch_warnings():
        warnings.simplefilter("error")
        result = pipeline.generate("a red circle", **RUN)
    assert names.COREML in result.stages["denoiser"].backend


@pytest.mark.skipif(not INSTALLED.info(names.COREML).available, reason="no Swift runtime")
def test_a_passed_test_is_kept(recorded: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, 1.0)
    with tintype.Pipeline.load(recorded) as pipeline:
        pipeline.generate("a red circle", **RUN)
    kept = [file.name for file in tmp_path.glob("cache/verdicts/*.passed")]
    assert len(kept) == 1
    assert kept[0].startswith("denoiser-all-")
    monkeypatch.setattr(stages, "INSTALLED", another_process(tmp_path))
    monkeypatch.setattr(stages, "check_self_test", None)  # a second one would fail
    with tintype.Pipeline.load(recorded) as pipeline:
        pipeline.generate("a red circle", **RUN)


def test_a_model_that_is_wrong_everywhere_is_damaged(
    recorded: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert recorded.root is not None
    file = recorded.root / "self_test/denoiser.safetensors"
    tensors = load_file(file)
    save_file({n: v * np.float16(3) if n == "expected.velocity" else v for n, v in tensors.items()}, file)
    loaded = pretend(monkeypatch, 1.0)
    with (
        tintype.Pipeline.load(recorded) as pipeline,
        pytest.raises(EngineError, match="kernels compute the model wrongly on mlx"),
    ):
        pipeline.generate("a red circle", **RUN)
    on_core_ml, on_mlx = (model for model in loaded if "denoiser" in str(model.path))
    for model in (on_core_ml, on_mlx):
        with pytest.raises(InvalidInputError, match="closed"):
            _ = model.metadata
    assert not list(tmp_path.glob("cache/verdicts/*.json"))


def test_auto_leaves_core_ml_for_finite_numbers(
    sd3_half: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, auto_reasons: dict[str, str]
) -> None:
    pretend(monkeypatch, np.nan)
    with tintype.Pipeline.load(sd3_half) as pipeline:
        with pytest.warns(FallbackWarning, match=auto_reasons["not_finite"].format(package="denoiser")):
            result = pipeline.generate("a red circle", **RUN)
        assert result.settings.backends["denoiser"] == names.MLX
        assert pipeline.generate("a red circle", **RUN).latents.tolist() == result.latents.tolist()
    if INSTALLED.info(names.COREML).available:
        (kept,) = tmp_path.glob("cache/verdicts/*.json")
        assert "gave NaN or infinite values in 'velocity'" in json.loads(kept.read_text())["reason"]
    with (
        tintype.Pipeline.load(sd3_half, backend="coreml") as pipeline,
        pytest.raises(EngineError, match="on backend 'coreml' gave NaN or infinite values"),
    ):
        pipeline.generate("a red circle", **RUN)


def test_the_prediction_on_the_other_backend_counts(
    sd3_half: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and the memory budget see the model that takes over as any other."""
    with tintype.Pipeline.load(sd3_half, backend="mlx") as pipeline:
        usual = pipeline.generate("a red circle", statistics=True, **RUN).statistics
    pretend(monkeypatch, np.nan)
    with tintype.Pipeline.load(sd3_half, memory_budget=1) as pipeline:
        with pytest.warns(FallbackWarning, match="so MLX runs it"):
            result = pipeline.generate("a red circle", statistics=True, **RUN)
        assert len(pipeline._models.loaded) == 1
    assert usual is not None
    assert result.statistics is not None
    predictions = result.statistics["denoiser"].predictions
    assert predictions == usual["denoiser"].predictions + 1  # the one that failed
    assert set(result.statistics["denoiser"].backends) == {names.COREML, names.MLX}


@pytest.mark.parametrize("factor", [1.2, np.nan])
def test_auto_moves_to_mlx(
    recorded: Bundle, monkeypatch: pytest.MonkeyPatch, factor: float, auto_reasons: dict[str, str]
) -> None:
    with tintype.Pipeline.load(recorded, backend="mlx") as pipeline:
        expected = pipeline.generate("a red circle", **RUN)
    pretend(monkeypatch, factor)
    with tintype.Pipeline.load(recorded) as pipeline:
        with pytest.warns(FallbackWarning, match=r"denoiser failed the self-test .* so MLX runs it"):
            result = pipeline.generate("a red circle", **RUN)
        again = pipeline.generate("a red circle", **RUN)  # without another warning
    np.testing.assert_array_equal(result.latents, expected.latents)
    np.testing.assert_array_equal(again.latents, expected.latents)
    assert result.settings.backends["denoiser"] == names.MLX
    before, after = auto_reasons["self_test"].format(package="denoiser", reason="|").split("|")
    reason = result.stages["denoiser"].reason.split("; ")[-1]
    assert reason.startswith(before), reason
    assert reason.endswith(after), reason


def test_a_named_backend_is_strict(recorded: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0.5)
    with (
        tintype.Pipeline.load(recorded, backend="coreml") as pipeline,
        pytest.raises(EngineError, match=r"differs by .* kernels compute the model wrongly on coreml"),
    ):
        pipeline.generate("a red circle", **RUN)


@pytest.mark.parametrize("backend", ["coreml", "auto"])
def test_verify_reports_what_a_wrong_system_does(
    recorded: Bundle, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    pretend(monkeypatch, 1.5)
    result = run_self_test(recorded, backend)
    assert (result.backend, result.passed) == (names.COREML, False)
    assert result.error == pytest.approx(0.5, rel=1e-2)


@pytest.mark.parametrize("content", [b"", b"no safetensors", (2).to_bytes(8, "little") + b"{}"])
def test_a_damaged_recording(recorded: Bundle, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    assert recorded.root is not None
    (recorded.root / "self_test/denoiser.safetensors").write_bytes(content)
    loaded = pretend(monkeypatch, 1.0)
    with (
        tintype.Pipeline.load(recorded) as pipeline,
        pytest.raises(BundleError, match="record it again with verify --self-test"),
    ):
        pipeline.generate("a red circle", **RUN)
    with pytest.raises(InvalidInputError, match="closed"):
        _ = loaded[-1].metadata
