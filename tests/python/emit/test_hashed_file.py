"""A file written past the cache, or as the system can, and its hash."""

import errno
import fcntl
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tintype.emit import hashed_file as module
from tintype.emit.hashed_file import HashedFile

PIECES = [b"head", bytes(range(256)) * 50, b"", b"tail" * 1000, b"!"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks are under way, and memory is used again."""
    monkeypatch.setattr(module, "BLOCKS", 2)
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * module.SECTOR_BYTES)


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("takes", [True, False])
def test_bytes_and_hash_with_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: bool, takes: bool
) -> None:
    """Also where the file system opens no file past the cache, or takes no such bytes."""
    real_open, real, direct = os.open, os.pwrite, module.DIRECT

    def open_file(path: Path, flags: int, mode: int) -> int:
        if flags & direct and not opens:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_open(path, flags, mode)

    def write(handle: int, data: Any, offset: int) -> int:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & direct and not takes:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(handle, data[: module.SECTOR_BYTES], offset)

    monkeypatch.setattr(module.os, "open", open_file)
    monkeypatch.setattr(module.os, "pwrite", write)
    (tmp_path / "file").write_bytes(b"x" * 100_000)  # longer than what comes: it has to go
    with HashedFile(tmp_path / "file") as file:
        for piece in PIECES:
            file.write(piece)
        digest = file.hexdigest()
    expected = b"".join(PIECES)
    assert (tmp_path / "file").read_bytes() == expected
    assert (file.size, digest) == (len(expected), hashlib.sha256(expected).hexdigest())


def test_what_was_given_may_change_at_once(tmp_path: Path) -> None:
    data = bytearray(b"ab" * 5000)
    with HashedFile(tmp_path / "file") as file:
        file.write(memoryview(data))
        data[:] = bytes(len(data))
    assert (tmp_path / "file").read_bytes() == b"ab" * 5000


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"), HashedFile(tmp_path / "file") as file:
        file.write(b"data" * 10_000)


def test_what_the_disk_refuses_later_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells of a failed write when it is asked to finish it, and once only."""
    asked = threading.Event()

    def fail(_: int) -> None:
        asked.set()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "DIRECT", 0)
    monkeypatch.setattr(module, "FLUSH_BYTES", 4)
    monkeypatch.setattr(module, "fdatasync", fail)

    def write() -> None:
        with HashedFile(tmp_path / "file") as file:
            file.write(bytes(2 * module.SECTOR_BYTES))
            assert asked.wait(10)

    with pytest.raises(OSError, match="Input/output error"):
        write()
