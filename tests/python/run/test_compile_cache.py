"""Notes beside compiled models, which other processes write and remove meanwhile."""

from pathlib import Path

import pytest

from tintype.run import compile_cache
from tintype.run.compile_cache import is_compiled
from tintype.run.runtimes import INSTALLED


def test_notes_that_are_gone_or_damaged_name_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "a.mlpackage"
    entries = [tmp_path / f"a-{name}.mlmodelc" for name in ("gone", "damaged", "good")]
    monkeypatch.setattr(compile_cache, "_entries", lambda runtimes, path: entries)
    entries[1].with_suffix(".source").write_bytes(b"\xff\xfe\xff")
    assert not is_compiled(INSTALLED, package)
    entries[2].with_suffix(".source").write_text(f"{tmp_path / 'b.mlpackage'}\n{package}\n")
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # it was there a moment ago
    assert is_compiled(INSTALLED, package)
