"""Pictures that carry the settings they were made with."""

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError

__all__ = ["picture_settings", "print_settings"]


def picture_settings(path: Path) -> dict[str, Any]:
    """The settings inside the PNG at `path`; UsageError, saying what would do, if it has none."""
    from ..pipeline import read_parameters
    from ..run.pictures import PictureError

    if not path.is_file():
        raise UsageError(f"there is no picture at {path}: name a PNG that tintype wrote")
    try:
        settings = read_parameters(path)
    except PictureError as error:
        raise UsageError(f"{path} {error}: name a PNG that tintype wrote") from error
    if not settings:
        raise UsageError(
            f"{path} carries no settings: only PNG files that tintype wrote do, unless edited since"
        )
    return settings


def print_settings(settings: dict[str, Any]) -> None:
    """A line a setting; backends by stage in one line."""
    width = max(len(key) for key in settings)
    for key, value in settings.items():
        if isinstance(value, dict):
            value = ", ".join(f"{stage} {name}" for stage, name in value.items()) or "-"
        click.echo(f"{key.replace('_', ' '):{width}}  {'-' if value in (None, '') else value}")
