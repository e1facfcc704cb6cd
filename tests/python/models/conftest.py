"""Configs of the tiny pipeline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def config(data: Path) -> Callable[..., dict[str, Any]]:
    """config(component, **changes): sd3-medium-tiny's config.json with changes; None removes a key."""

    def read(component: str, **changes: Any) -> dict[str, Any]:
        rows = json.loads((data / "sd3-medium-tiny" / component / "config.json").read_text()) | changes
        return {k: v for k, v in rows.items() if k not in changes or v is not None}

    return read
