"""SHA-256 of the source's files, in the background."""

import hashlib
from pathlib import Path

import pytest

from tintype.emit import source_hashes as module
from tintype.emit.source_hashes import SourceHashes


@pytest.mark.parametrize("size", [0, 5, 2000])
def test_hashes_of_any_number_of_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 999)
    data = bytes(i % 251 for i in range(size))
    (tmp_path / "w").write_bytes(data)
    with SourceHashes() as hashes:
        hashes.start({"w": tmp_path / "w"})
        assert hashes.result() == {"w": hashlib.sha256(data).hexdigest()}
