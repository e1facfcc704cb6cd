"""What is kept of models that Core ML could not run, and where."""

import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Callable

import pytest

from tintype import names
from tintype.errors import BackendUnavailable, EngineError, OutOfMemoryError
from tintype.run import FallbackWarning
from tintype.run.loading import load_with
from tintype.run.runtimes import INSTALLED, Library, Runtimes
from tintype.run.verdicts import Verdicts

PACKAGES = pathlib.Path(__file__).parents[2] / "data" / "packages"


@pytest.fixture
def again(fake_library: pathlib.Path) -> Callable[[], Runtimes]:
    """The fake runtimes as another process finds them; verdicts lie beside the package."""

    def make() -> Runtimes:
        libraries = {name: Library(fake_library, f"fake_{name}_api") for name in ("mlx", "coreml")}
        return Runtimes(libraries, apple=True)

    return make


def test_another_process_knows(
    again: Callable[[], Runtimes], tmp_path: pathlib.Path, auto_reasons: dict[str, str]
) -> None:
    path = tmp_path / "load-4.mlpackage"
    path.mkdir()
    with pytest.warns(FallbackWarning, match="status 4"):
        load_with(again(), path, "auto", "ane")
    file = tmp_path / f"load-4.mlpackage-{names.COMPUTE_UNITS['ane']}.json"
    row = json.loads(file.read_text())
    assert row["package"] == str(path)
    assert row["reason"] == "[fake] failed with status 4: as asked, 100% é"
    assert set(row) == {"date", "package", "reason"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_with(again(), path, "auto", "ane")
    assert model.backend == "mlx"
    assert model.reason == auto_reasons["remembered"].format(
        package=path.stem, reason=row["reason"], date=row["date"], file=file
    )
    with pytest.warns(FallbackWarning):  # other units are another question
        load_with(again(), path, "auto", "cpu")
    file.write_text("{")  # damaged: Core ML is asked again
    with pytest.warns(FallbackWarning):
        load_with(again(), path, "auto", "ane")


@pytest.mark.parametrize("error", [OutOfMemoryError("full"), BackendUnavailable("gone")])
def test_what_is_true_of_the_moment_is_not_kept(
    again: Callable[[], Runtimes], tmp_path: pathlib.Path, error: Exception
) -> None:
    verdicts = Verdicts(again())
    verdicts.remember(error, tmp_path / "x.mlpackage", "all")
    assert os.listdir(tmp_path) == []
    assert (
        str(verdicts.find(tmp_path / "x.mlpackage", "all")) == f"Core ML could not run x.mlpackage ({error})"
    )


def test_a_folder_that_cannot_be_written_costs_only_time(
    again: Callable[[], Runtimes], tmp_path: pathlib.Path
) -> None:
    verdicts = Verdicts(again())
    path = tmp_path / "absent" / "x.mlpackage"
    (tmp_path / "absent").write_text("a file where the folder should be")
    verdicts.remember(EngineError("no"), path, "all")
    verdicts.remember_pass([path], "all")
    assert verdicts.find(path, "all") is not None
    assert verdicts.have_passed([path], "all")
    assert not Verdicts(again()).have_passed([path], "all")


def test_a_test_is_passed_by_all_chunks(again: Callable[[], Runtimes], tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "1.mlpackage", tmp_path / "2.mlpackage"
    Verdicts(again()).remember_pass([first], "all")
    assert not Verdicts(again()).have_passed([first, second], "all")
    Verdicts(again()).remember_pass([second], "all")
    assert Verdicts(again()).have_passed([first, second], "all")
    assert not Verdicts(again()).have_passed([first, second], "cpu")


@pytest.mark.skipif(not INSTALLED.info(names.COREML).available, reason="no Swift runtime")
def test_the_swift_runtime_names_the_file(tmp_path: pathlib.Path) -> None:
    """By the portable Core ML, which cannot run a package whose program is damaged."""
    runtimes = Runtimes(INSTALLED.libraries, cache_folder=tmp_path / "cache")
    runtime = runtimes.open(names.COREML)
    path = shutil.copytree(PACKAGES / "add.mlpackage", tmp_path / "add.mlpackage")

    def file_of(units: str = "all") -> pathlib.Path:
        return pathlib.Path(runtime.verdict_file(path, names.COMPUTE_UNITS[units], runtimes.cache_folder))

    first = file_of()
    assert first.parent == tmp_path / "cache" / "verdicts"
    assert first.name.startswith("add-all-")
    assert file_of() == first != file_of("cpu")
    program = next(path.rglob("*.mlmodel"))
    program.write_bytes(program.read_bytes()[:-40])
    other = file_of()
    assert other != first  # another content is another model
    with pytest.raises(EngineError) as caught:
        load_with(runtimes, path, names.COREML, "all")
    Verdicts(runtimes).remember(caught.value, path, "all")
    assert json.loads(other.read_text())["reason"] == str(caught.value)
    found = Verdicts(runtimes).find(path, "all")
    assert found is not None
    assert found.file == other
    with pytest.raises(EngineError, match="nothing is kept of it"):
        runtimes.open(names.MLX).verdict_file(path)
    with pytest.raises(EngineError, match="cannot be read"):
        runtime.verdict_file(tmp_path / "absent.mlpackage")
