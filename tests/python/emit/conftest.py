"""A writable copy of the tiny pipeline."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def source(data: Path, tmp_path: Path) -> Path:
    """sd3-medium-tiny without its goldens, to be damaged."""
    return Path(
        shutil.copytree(
            data / "sd3-medium-tiny", tmp_path / "source", ignore=shutil.ignore_patterns("golden", "original")
        )
    )


@pytest.fixture
def edit(source: Path) -> Callable[..., None]:
    """edit("transformer/config.json", key=value): change a JSON file of the copy."""

    def change(relative: str, **changes: Any) -> None:
        path = source / relative
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change
