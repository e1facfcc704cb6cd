"""Suite `fusion` loads each model twice."""

import os
import pathlib

import pytest

from tintype.bench.fusion import SWITCH, _load
from tintype.bundle import Bundle
from tintype.errors import ModelFileError


@pytest.mark.parametrize("before", [None, "0"])
def test_ops_are_joined_or_not_as_asked(
    demo: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, before: str | None
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    if before is not None:
        monkeypatch.setenv(SWITCH, before)
    (package,) = demo.package_paths("denoiser")
    fused = [_load(package, joins).metadata["functions"]["main"]["fused"] for joins in (True, False)]
    assert [bool(row) for row in fused] == [True, False]
    with pytest.raises(ModelFileError):
        _load(tmp_path / "nothing.mlpackage", True)
    assert os.environ.get(SWITCH) == before  # as it was
