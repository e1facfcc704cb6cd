"""Core ML opens a function a size: what that does to the memory budget and to the time box."""

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tintype import names
from tintype.bundle import Bundle, Size
from tintype.emit import convert
from tintype.pipeline import Pipeline, stages
from tintype.pipeline.stages import StageModels
from tintype.run import FallbackWarning, load_model
from tintype.run.runtimes import INSTALLED, Runtimes

DEFAULT, WIDE, TALL = (64, 64), (96, 64), (64, 96)
HELD: dict[str, threading.Event] = {}


class AsCoreML:
    """A model of MLX that says it is Core ML's. What it runs goes to `calls`; functions in HELD wait until
    they are let go."""

    def __init__(self, path: pathlib.Path, calls: list[tuple[str, str | None]]) -> None:
        self._model, self._calls = load_model(path, names.MLX), calls
        self.backend, self.reason = names.COREML, "a test"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, inputs: Any, function: str | None = None, **options: Any) -> Any:
        self._calls.append((self._model.path, function))
        if function in HELD and not HELD[function].wait(60):
            raise AssertionError("nobody let it go")
        return self._model.predict(inputs, function, **options)


@pytest.fixture(scope="module")
def bundle(data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("sizes") / "bundle"
    return convert(data / "sd3-medium-tiny", out, size=[DEFAULT, WIDE, TALL])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[list[tuple[str, str | None]]]:
    """The predictions on Core ML, which exists and takes every denoiser."""
    made: list[tuple[str, str | None]] = []

    def load(path: pathlib.Path, backend: str, units: str, time_box: float | None) -> Any:
        taken = backend != names.MLX and "denoiser" in path.name
        return AsCoreML(path, made) if taken else load_model(path, names.MLX, units)

    monkeypatch.setattr(stages, "load_model", load)
    monkeypatch.setattr(stages, "INSTALLED", Runtimes(INSTALLED.libraries, cache_folder=tmp_path / "cache"))
    yield made
    HELD.clear()


def budget(bundle: Bundle, denoisers: int) -> int:
    """Bytes for so many copies of the denoiser's weights and the modulation's."""
    denoiser, modulation = (bundle.component(name).weight_bytes for name in ("denoiser", "modulation"))
    return denoisers * denoiser + modulation


def test_weights_count_once_a_size_that_core_ml_has_opened(bundle: Bundle, calls: Any) -> None:
    models = StageModels(bundle, memory_budget=budget(bundle, 2), self_tests=False)
    models.model("modulation", "coreml")
    denoiser = models.model("denoiser", "coreml", Size(*WIDE))
    denoiser.open(names.size_function(*WIDE))
    assert denoiser.copies == 2  # the default function's is there from the beginning
    assert models.loaded == ("modulation", "denoiser")
    assert models.model("denoiser", "coreml", Size(*WIDE)) is denoiser
    assert models.model("denoiser", "coreml", Size(*DEFAULT)) is denoiser
    # A third copy does not fit, even without the modulation: the denoiser gives up the second one.
    other = models.model("denoiser", "coreml", Size(*TALL))
    assert models.loaded == ("denoiser",)
    assert (other is denoiser, other.copies) == (False, 1)
    models.close()


def test_other_models_make_room_for_a_size(bundle: Bundle, calls: Any) -> None:
    expected = {"coreml": ("denoiser",), "mlx": ("modulation", "denoiser")}  # MLX has the weights once
    for backend, loaded in expected.items():
        models = StageModels(bundle, memory_budget=budget(bundle, 2) - 1, self_tests=False)
        models.model("modulation", backend)
        models.model("denoiser", backend, Size(*DEFAULT))
        assert models.loaded == ("modulation", "denoiser")
        models.model("denoiser", backend, Size(*WIDE))
        assert models.loaded == loaded
        models.close()


def test_nothing_is_opened_ahead_without_a_time_box(bundle: Bundle, calls: Any) -> None:
    with Pipeline.load(bundle, "coreml") as pipeline:
        pipeline.generate("x", steps=1, seed=0, size=WIDE)
    assert [function for _, function in calls] == [names.size_function(*WIDE)] * 2  # guided: two a step


def test_a_size_that_opens_in_time_is_core_mls(bundle: Bundle, calls: Any) -> None:
    with Pipeline.load(bundle) as pipeline:
        (row,) = (w for w in pipeline.prewarm(["denoiser"], size=TALL) if w.component == "denoiser")
        assert row.backend == "coreml"
        assert [function for _, function in calls] == [names.size_function(*TALL)]
        pipeline.prewarm(["denoiser"], size=TALL)
        assert len(calls) == 1
        result = pipeline.generate("x", steps=1, seed=0, size=WIDE)
        assert "coreml" in result.stages["denoiser"].backend


@pytest.mark.parametrize("warmed", [True, False])
def test_mlx_takes_over_where_a_size_takes_too_long(bundle: Bundle, calls: Any, warmed: bool) -> None:
    assert bundle.root is not None
    wide = names.size_function(*WIDE)
    HELD[wide] = threading.Event()
    reason = f"Core ML could not run denoiser .loading {wide} took longer than 0.05 s; it goes on in the back"
    with Pipeline.load(bundle, time_box=0.05) as pipeline:
        if warmed:
            with pytest.warns(FallbackWarning, match=reason):
                row = pipeline.prewarm(["denoiser"], size=WIDE)[-1]
            assert (row.component, row.backend) == ("denoiser", "mlx")
            result = pipeline.generate("x", steps=1, seed=0, size=WIDE)
        else:
            with pytest.warns(FallbackWarning, match=reason):
                result = pipeline.generate("x", steps=1, seed=0, size=WIDE)
        assert result.settings.backends["denoiser"] == "mlx"
        verdicts = stages.INSTALLED.verdicts
        package = bundle.root / bundle.component("denoiser").path
        assert verdicts.find(package, "all") is not None
        HELD[wide].set()
        for thread in threading.enumerate():
            if thread.name == "tintype-load":
                thread.join(60)
        assert verdicts.find(package, "all") is None  # it ended well: Core ML may be asked again
