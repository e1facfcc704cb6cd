"""What the commands share: progress bars, sizes, JSON, tables."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ..names import BACKENDS, COMPUTE_UNITS, STAGES

__all__ = [
    "Progress",
    "backend_option",
    "byte_count",
    "count_text",
    "echo_json",
    "one_size",
    "progress_bar",
    "size_of",
    "size_option",
    "stage_options",
    "table",
    "time_box_option",
    "units_option",
]

F = TypeVar("F", bound=Callable[..., Any])

#: Called with (what is being done, how much of it is done, how much there is).
Progress = Callable[[str, float, float], None]


def size_of(value: str) -> tuple[int, int] | None:
    """WIDTHxHEIGHT as (width, height); None for anything else."""
    match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", value, re.IGNORECASE)
    return (int(match[1]), int(match[2])) if match else None


def one_size(value: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as (width, height); BadParameter for anything else."""
    size = size_of(value)
    if size is None:
        raise click.BadParameter(f"{value[:40]!r} is not WIDTHxHEIGHT in pixels, such as 1024x768")
    return size


def _size(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(one_size(each) for each in value)
    return None if value is None else one_size(value)


def size_option(text: str, *, multiple: bool = False) -> Callable[[F], F]:
    """`--size WxH`, given to the command as (width, height), or as a tuple of them."""
    return click.option("--size", metavar="WxH", callback=_size, multiple=multiple, help=text)


BACKEND_HELP = "coreml and mlx are strict; auto takes Core ML where it works, else MLX, and says why."
UNITS_HELP = "What Core ML may use (ane: Neural Engine). MLX ignores it."

backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="auto",
    show_default=True,
    help=BACKEND_HELP,
)


def stage_options(command: F) -> F:
    """`--backend` and `--units` of a run, for all of its stages or by stage."""
    for option in (
        _by_stage("--units", tuple(COMPUTE_UNITS), UNITS_HELP),
        _by_stage("--backend", BACKENDS, BACKEND_HELP),
    ):
        command = option(command)
    return command


def _by_stage(name: str, choices: Sequence[str], text: str) -> Callable[[F], F]:
    """One value, or STAGE=VALUE with commas between; given to the command as a string or a mapping."""

    def parse(context: click.Context, parameter: click.Parameter, value: str) -> Any:
        rows = dict(row.partition("=")[::2] for row in value.split(",")) if "=" in value else {"": value}
        for stage, choice in rows.items():
            if choice not in choices or (stage and stage not in STAGES):
                raise click.BadParameter(
                    f"{value!r} is not one of {', '.join(map(repr, choices))}, nor STAGE=VALUE with commas "
                    f"between, for stages among {', '.join(STAGES)}"
                )
        return rows.get("", rows)

    default = choices[0]
    return click.option(
        name,
        metavar="|".join(choices),
        default=default,
        show_default=True,
        callback=parse,
        help=f"{text} Or by stage: denoiser={choices[1]},vae={choices[-1]}.",
    )


def byte_count(text: str) -> int:
    """`1GB`, `500MB`, `2GiB` or a number of bytes; BadParameter for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(i?)B?", text, re.IGNORECASE)
    number = match and float(match[1]) * (1024 if match[3] else 1000) ** " KMG".index(match[2].upper() or " ")
    if not number or not math.isfinite(number):
        raise click.BadParameter(f"{text[:40]!r} is no number of bytes, such as 1GB, 500MB or 2GiB")
    return int(number)


units_option = click.option(
    "--units",
    type=click.Choice(list(COMPUTE_UNITS)),
    default="all",
    show_default=True,
    help=UNITS_HELP,
)


def _time_box(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value.lower() == "none":
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise click.BadParameter(f"{value!r} is no positive number of seconds, and not none")
    return seconds


time_box_option = click.option(
    "--time-box",
    metavar="SECONDS",
    default="300",
    show_default=True,
    callback=_time_box,
    help="How long auto waits for Core ML to compile and load a package before MLX takes over; none: without"
    " end.",
)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A progress bar on stderr; nothing if `quiet` or if stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def echo_json(value: Any) -> None:
    """Indented JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Columns as wide as their widest cell; those named in `right` are set flush right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def count_text(count: int) -> str:
    """1.23 M"""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count / limit:.2f} {unit}"
    return str(count)
