"""A file written past the cache, or as the system can, and its hash."""

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tintype.emit import hashed_file as module
from tintype.emit.hashed_file import HashedFile

PIECES = [b"head", bytes(range(256)) * 5, b"", b"tail" * 1000]


@pytest.mark.parametrize("refuses", [False, True])
def test_bytes_and_hash_with_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    """Also where the system writes a part of what it is given, or does not know the flag."""
    real, flags = os.pwritev, list[int]()

    def write(handle: int, buffers: Any, offset: int, flag: int = 0) -> int:
        flags.append(flag)
        if refuses and flag:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(handle, [buffers[0][:100]], offset)

    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.os, "pwritev", write)
    (tmp_path / "file").write_bytes(b"x" * 10_000)  # longer than what comes: it has to go
    with HashedFile(tmp_path / "file") as file:
        for piece in PIECES:
            file.write(piece)
        digest = file.hexdigest()
    expected = b"".join(PIECES)
    assert (tmp_path / "file").read_bytes() == expected
    assert (file.size, digest) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert flags[0] == module.RWF_DONTCACHE
    assert set(flags[1:]) == ({0} if refuses else {module.RWF_DONTCACHE})


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "pwritev", full)
    with pytest.raises(OSError, match="No space left"), HashedFile(tmp_path / "file") as file:
        file.write(b"data")


def test_what_the_disk_refuses_later_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells of a failed write when it is asked to finish it, and once only."""
    asked = threading.Event()

    def fail(_: int) -> None:
        asked.set()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "FLUSH_BYTES", 4)
    for name in ("fdatasync", "fsync"):
        monkeypatch.setattr(module.os, name, fail, raising=False)

    def write() -> None:
        with HashedFile(tmp_path / "file") as file:
            file.write(b"data")
            assert asked.wait(10)

    with pytest.raises(OSError, match="Input/output error"):
        write()
