"""Files that appear complete or not at all."""

import errno
import os
import pathlib

import pytest

from tintype.files import atomic_write


def test_a_file_replaces_another_when_it_is_complete(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_failed(tmp_path: pathlib.Path, error: BaseException) -> None:
    target = tmp_path / "a.bin"
    with pytest.raises(type(error)) as caught, atomic_write(target):
        raise error
    assert os.listdir(tmp_path) == []
    if isinstance(caught.value, OSError):
        assert caught.value.filename == str(target)


def test_another_files_error_keeps_its_name(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a.bin"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_folder_that_is_not_there_names_the_file(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "absent" / "a.bin"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(target):
        raise AssertionError("not reached")
    assert caught.value.filename == str(target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
