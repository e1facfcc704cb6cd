"""The choice of a backend, and the way from Core ML to MLX when Core ML fails."""

import ctypes
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tintype
from tintype import errors
from tintype.run import FallbackWarning
from tintype.run.loading import load_with
from tintype.run.runtimes import Library, Runtimes

X = {"x": np.ones(2, np.float32)}


@pytest.fixture
def package(tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    def make(name: str) -> pathlib.Path:
        path = tmp_path / f"{name}.mlpackage"
        path.mkdir(exist_ok=True)
        return path

    return make


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call()


def test_auto_takes_apples_core_ml(runtimes: Runtimes, package, auto_reasons: dict[str, str]) -> None:
    model = quietly(lambda: load_with(runtimes, package("plain"), "auto", "ane"))
    assert (model.backend, model.reason) == ("coreml", auto_reasons["available"])
    assert list(model.predict(X)) == ["x_out"]


def test_auto_never_takes_the_portable_core_ml(
    fake_library: pathlib.Path, package, auto_reasons: dict[str, str]
) -> None:
    libraries = {name: Library(fake_library, f"fake_{name}_api") for name in ("mlx", "coreml")}
    model = quietly(lambda: load_with(Runtimes(libraries, apple=False), package("plain"), "auto", "all"))
    assert (model.backend, model.reason) == ("mlx", auto_reasons["no_core_ml"])
    # A Core ML that does not say "apple": the table that describes itself as MLX's.
    libraries["coreml"] = Library(fake_library, "fake_mlx_api")
    model = quietly(lambda: load_with(Runtimes(libraries, apple=True), package("plain"), "auto", "all"))
    assert (model.backend, model.reason) == ("mlx", "auto: this Core ML is not Apple's")


def test_auto_says_why_core_ml_is_out(fake_library: pathlib.Path, package) -> None:
    runtimes = Runtimes(
        {"mlx": Library(fake_library, "fake_mlx_api"), "coreml": Library(fake_library, "fake_absent_api")},
        apple=True,
    )
    model = quietly(lambda: load_with(runtimes, package("plain"), "auto", "all"))
    assert model.backend == "mlx"
    assert model.reason == "auto: Core ML is not available: [fake] nothing runs here: buy another machine"


@pytest.mark.parametrize("status", [3, 4, 5, 6, 7])
def test_auto_falls_back_when_loading_fails_and_remembers_it(
    runtimes: Runtimes,
    package,
    counters: ctypes.CDLL,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    auto_reasons: dict[str, str],
) -> None:
    monkeypatch.setattr("tintype.run.loading.INSTALLED", runtimes)
    path = package(f"load-{status}")
    with pytest.warns(FallbackWarning, match=f"failed with status {status}.* so MLX runs it") as caught:
        model = tintype.load_model(path)
    assert len(caught) == 1
    reason = f"[fake] failed with status {status}: as asked, 100% é"
    assert str(caught[0].message) == auto_reasons["failed"].format(package=path.stem, reason=reason)
    assert model.reason == str(caught[0].message)
    assert pathlib.Path(caught[0].filename).name == "test_loading.py"
    assert model.backend == "mlx"
    assert list(model.predict(X)) == ["x_out"]
    loads = ctypes.c_int.in_dll(counters, "fake_loads").value
    again = quietly(lambda: tintype.load_model(path))
    assert again.backend == "mlx"
    assert f"status {status}" in again.reason
    assert ctypes.c_int.in_dll(counters, "fake_loads").value == loads + 1  # Core ML was not tried again


def test_auto_falls_back_when_predicting_fails(runtimes: Runtimes, package) -> None:
    model = load_with(runtimes, package("predict-5"), "auto", "all")
    assert model.backend == "coreml"
    with pytest.warns(FallbackWarning, match="status 5") as caught:
        assert list(model.predict(X)) == ["x_out"]
    assert len(caught) == 1
    assert pathlib.Path(caught[0].filename).name == "test_loading.py"
    assert model.backend == "mlx"
    quietly(lambda: model.predict(X))


def test_the_fallback_predicts_as_it_was_asked(runtimes: Runtimes, package) -> None:
    """With statistics, so that no numbers of the failed backend remain."""
    model = load_with(runtimes, package("predict-5"), "auto", "all")
    model._last_statistics = {"seconds": 1.0}
    with pytest.warns(FallbackWarning, match="status 5"):
        model.predict(X, statistics=True)
    assert model.last_statistics is None  # this runtime has none


def test_wrong_inputs_are_no_reason_to_fall_back(runtimes: Runtimes, package) -> None:
    model = load_with(runtimes, package("predict-1"), "auto", "all")
    with pytest.raises(errors.InvalidInputError):
        quietly(lambda: model.predict(X))
    assert model.backend == "coreml"


def test_a_named_backend_is_strict(runtimes: Runtimes, package) -> None:
    with pytest.raises(errors.UnsupportedModelError):
        load_with(runtimes, package("load-4"), "coreml", "all")
    model = load_with(runtimes, package("predict-5"), "coreml", "all")
    with pytest.raises(errors.EngineError):
        model.predict(X)
    assert (model.backend, model.reason) == ("coreml", "asked for")


def test_an_absent_backend_says_why(tmp_path: pathlib.Path, package) -> None:
    note = tmp_path / "NO_SWIFT.txt"
    note.write_text("this installation was built without the Swift runtime: install Swift 6\n")
    runtimes = Runtimes(
        {"coreml": Library(tmp_path / "no.so", "x", note), "mlx": Library(tmp_path / "no.so", "x")}
    )
    with pytest.raises(
        errors.BackendUnavailable,
        match='backend "coreml" is not available: this installation was built without the Swift runtime: '
        "install Swift 6",
    ):
        load_with(runtimes, package("plain"), "coreml", "all")
    with pytest.raises(errors.BackendUnavailable, match=r'backend "mlx".*missing.*reinstall tintype'):
        load_with(runtimes, package("plain"), "auto", "all")


@pytest.mark.parametrize(
    ("backend", "units", "message"),
    [
        ("tpu", "all", "backend is 'tpu', expected one of 'auto', 'coreml', 'mlx'"),
        (None, "all", "backend is None, expected one of 'auto', 'coreml', 'mlx'"),
        ("mlx", "npu", "units is 'npu', expected one of 'all', 'cpu', 'gpu', 'ane'"),
    ],
)
def test_unknown_choices_are_named(package, backend: Any, units: str, message: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        tintype.load_model(package("plain"), backend, units)
    assert str(caught.value) == message


def test_a_missing_package_is_a_file_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.ModelFileError, match=r"there is no model at .*nothing.mlpackage"):
        tintype.load_model(tmp_path / "nothing.mlpackage")


def test_plain_python_values_take_the_described_type(runtimes: Runtimes, package) -> None:
    with load_with(runtimes, package("plain"), "mlx", "all") as model:
        outputs = model.predict({"x": [[1, 2, 3]], "any": 4})
        assert {n: v.dtype.name for n, v in outputs.items()} == {"x_out": "float16", "any_out": "int32"}
        with pytest.raises(errors.InvalidInputError, match='input "x" cannot be made a numpy array'):
            model.predict({"x": [[1], [2, 3]]})
        with pytest.raises(errors.InvalidInputError, match='input "any" cannot be made a numpy array'):
            model.predict({"any": 2**40})
        with pytest.raises(errors.InvalidInputError, match="inputs is a list, expected a mapping"):
            model.predict([1])  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidInputError, match="closed"):
        model.predict(X)


def test_the_backends_of_this_machine() -> None:
    rows = {row.name: row for row in tintype.backends()}
    assert list(rows) == ["coreml", "mlx"]
    assert rows["mlx"].available, rows["mlx"].reason
    assert rows["mlx"].details["name"] == "mlx"
    for row in rows.values():
        assert bool(row.reason) != row.available
