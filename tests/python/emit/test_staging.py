"""A folder that appears complete or not at all."""

import errno
import fcntl
import os
import resource
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tintype.emit import convert, staging
from tintype.emit.staging import MARK, REPLACED, SCRATCH, scratch_folder, staged_folder
from tintype.errors import ConversionError


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def write(output: Path, text: str, *, overwrite: bool = False) -> None:
    with staged_folder(output, overwrite=overwrite) as stage:
        (stage / "bundle.json").write_text(text)
        assert not (output / "bundle.json").exists() or overwrite


def test_appears_when_complete(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "bundle"
    write(output, "new")
    assert (output / "bundle.json").read_text() == "new"
    assert hidden(output.parent) == []
    assert stat.S_IMODE(output.stat().st_mode) & 0o700 == 0o700
    plain = tmp_path / "plain"
    plain.mkdir()
    assert output.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_any_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def stop() -> None:
        with staged_folder(tmp_path / "bundle", overwrite=False) as stage:
            (stage / "half").write_text("made")
            raise error

    with pytest.raises(error):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_existing_output_needs_overwrite(tmp_path: Path) -> None:
    write(tmp_path / "bundle", "old")
    with pytest.raises(ConversionError, match=r"bundle exists: choose another output, or .*overwrite"):
        write(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "old"
    write(tmp_path / "bundle", "new", overwrite=True)
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "new"
    assert hidden(tmp_path) == []


def test_failed_overwrite_keeps_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "bundle", "old")
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "bundle", overwrite=True):
        raise RuntimeError
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "old"


def test_only_bundles_and_empty_folders_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write(tmp_path / "photos", "fine")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").touch()
    with pytest.raises(ConversionError, match="home is not a Tintype bundle, so it is not overwritten"):
        write(tmp_path / "home", "new", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(ConversionError, match="file is not a Tintype bundle"):
        write(tmp_path / "file", "new", overwrite=True)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "bundle", "old")
    (tmp_path / "link").symlink_to("bundle")
    write(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "new"
    assert hidden(tmp_path) == []


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    dead = tmp_path / ".bundle.tintype-dead"
    dead.mkdir()
    (dead / "weights").touch()
    other = tmp_path / ".other.tintype-dead"
    other.mkdir()
    write(tmp_path / "bundle", "new")
    assert hidden(tmp_path) == [".other.tintype-dead"]


def test_a_running_conversion_is_left_alone(tmp_path: Path) -> None:
    live = tmp_path / ".bundle.tintype-live"
    live.mkdir()
    handle = os.open(live, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    write(tmp_path / "bundle", "new")
    assert live.is_dir()
    os.close(handle)


@pytest.mark.parametrize("moment", ["before the folder is opened", "before it is locked"])
def test_a_folder_that_another_run_took_for_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    module, name = (staging.tempfile, "mkdtemp") if "opened" in moment else (staging.fcntl, "flock")
    real = getattr(module, name)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options) if name == "mkdtemp" else None
        monkeypatch.setattr(module, name, real)
        write(tmp_path / "bundle", "the other run's", overwrite=True)
        return result if name == "mkdtemp" else real(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)
    write(tmp_path / "bundle", "new", overwrite=True)
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "new"
    assert hidden(tmp_path) == []


def test_leftovers_are_locked_while_they_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else another run may take one over meanwhile."""
    dead = tmp_path / ".bundle.tintype-dead"
    dead.mkdir()
    removed: list[Path] = []

    def remove(path: Path, **options: Any) -> None:
        if path == dead:
            handle = os.open(dead, os.O_RDONLY)
            with pytest.raises(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(handle)
            removed.append(path)
            dead.rmdir()

    monkeypatch.setattr(staging.shutil, "rmtree", remove)
    write(tmp_path / "bundle", "new")
    assert removed == [dead]


def test_an_overwrite_that_fails_at_the_last_step_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, rename = tmp_path / "bundle", os.rename
    write(output, "old")

    def fail(source: Path, target: Path) -> None:
        if MARK in source.name and REPLACED not in source.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write(output, "new", overwrite=True)
    assert (output / "bundle.json").read_text() == "old"
    assert hidden(tmp_path) == []


def test_an_old_bundle_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    """Killed between the two renames of an overwrite."""
    aside = tmp_path / ".bundle.tintype-replaced"
    aside.mkdir()
    (aside / "bundle.json").write_text("old")
    with pytest.raises(ConversionError, match="exists"):
        write(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "old"


def test_a_bundle_that_another_run_has_moved_aside_is_left_to_it(tmp_path: Path) -> None:
    """Between the two renames of an overwrite, which then succeeds."""
    output, rename = tmp_path / "bundle", os.rename
    write(output, "old")
    seen: list[str] = []

    def interrupted(source: Path, target: Path) -> None:
        if target == output:
            with scratch_folder(tmp_path), pytest.MonkeyPatch.context() as inner:
                inner.setattr(os, "rename", rename)
                staging._put_back(output)
                staging._clear(tmp_path, ".bundle.tintype-*")
            seen.extend(hidden(tmp_path))
        rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        write(output, "new", overwrite=True)
    assert ".bundle.tintype-replaced" in seen
    assert (output / "bundle.json").read_text() == "new"
    assert hidden(tmp_path) == []


def test_the_place_was_taken_meanwhile(tmp_path: Path) -> None:
    output, rename = tmp_path / "bundle", os.rename
    write(output, "old")

    def interrupted(source: Path, target: Path) -> None:
        if target == output:
            output.mkdir()
            (output / "bundle.json").write_text("the other run's")
        rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(ConversionError, match=r"another conversion has written .*bundle in the meantime"):
            write(output, "new", overwrite=True)
    assert (output / "bundle.json").read_text() == "the other run's"
    assert hidden(tmp_path) == []


def test_overwrites_side_by_side(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    write(output, "old")
    errors: list[BaseException] = []

    def again(number: int) -> None:
        for _ in range(20):
            try:
                stage = tmp_path / f"stage-{number}"
                stage.mkdir()
                (stage / "bundle.json").write_text(str(number))
                staging._publish(stage, output, True, "bundle.json")
            except ConversionError:  # the other was faster
                shutil.rmtree(stage)
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=again, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (output / "bundle.json").read_text() in "012"
    assert hidden(tmp_path) == []


def test_unwritable_parent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConversionError, match=r"cannot write to .*file \(.*\): choose another output folder"):
        write(tmp_path / "file" / "bundle", "new")


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConversionError, match=r"bundle does not fit on the disk \(No space left on device\)"),
        staged_folder(tmp_path / "bundle", overwrite=False),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == []


def test_a_file_beyond_a_limit_is_named(data: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(ConversionError, match=r"out has a file that is larger .* \(--max-chunk\)"):
            convert(data / "sd3-medium-tiny", tmp_path / "out", components=["denoiser"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def test_places_for_no_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for output in (Path("/"), tmp_path / "loop"):
        message = rf"{output} is no place for a folder: choose another"
        with pytest.raises(ConversionError, match=message), staged_folder(output, overwrite=True):
            pytest.fail("nothing is to be written")
    assert [p.name for p in tmp_path.iterdir()] == ["loop"]


def test_scratch_folders_of_killed_runs_are_removed(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as live:
        (live / "weights").touch()
        for make in (lambda: write(tmp_path / "bundle", "new", overwrite=True), scratch_in(tmp_path)):
            dead = tmp_path / f"{SCRATCH}abc_0123"
            dead.mkdir()
            (dead / "weights").touch()
            make()
            assert (live / "weights").exists()
            assert hidden(tmp_path) == [live.name]
    assert os.listdir(tmp_path) == ["bundle"]


def test_scratch_folders_of_earlier_releases_are_removed_when_they_are_old(tmp_path: Path) -> None:
    for name in ("reference-abc_0123", "ranges-abc_0123", "reference-def_4567", "reference-not_made_so"):
        (tmp_path / f".tintype-{name}").mkdir()
        (tmp_path / f".tintype-{name}" / "weights").touch()
        age = 0 if "def" in name else 2 * staging.OLD_SECONDS
        os.utime(tmp_path / f".tintype-{name}", (time.time() - age,) * 2)
    write(tmp_path / "bundle", "new")
    assert sorted(hidden(tmp_path)) == [".tintype-reference-def_4567", ".tintype-reference-not_made_so"]


def scratch_in(parent: Path) -> Callable[[], None]:
    def make() -> None:
        with scratch_folder(parent) as folder:
            assert list(folder.iterdir()) == []

    return make


def test_a_bundle_to_be_resumed_is_no_scratch(tmp_path: Path) -> None:
    kept = tmp_path / f"{SCRATCH}bundle{MARK}abc_0123"
    kept.mkdir()
    scratch_in(tmp_path)()
    assert kept.is_dir()
