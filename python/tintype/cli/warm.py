"""`tintype warm`: what takes minutes at the first use on Core ML, done before it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import echo_json, progress_bar, size_option, stage_options, table, time_box_option

if TYPE_CHECKING:
    from ..pipeline import Warmed

__all__ = ["warm"]


@click.command(short_help="Compile and test a bundle's models ahead of their first use.")
@click.argument("bundle", type=click.Path(path_type=Path))
@stage_options
@size_option("The picture size to load, one of the bundle's. [default: its first]")
@time_box_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print backends and seconds by component as JSON.")
def warm(
    bundle: Path,
    backend: Any,
    units: Any,
    size: tuple[int, int] | None,
    time_box: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compile and load the models of BUNDLE and run their self-tests, so that the next run starts at once.

    Core ML keeps what it compiles. MLX has nothing to compile. Of a bundle with several sizes, Core ML loads
    each by itself: --size names one, which is run once on zeros.

    \b
    tintype warm sd3.bundle --units ane --size 768x1344
    tintype warm sd3.bundle --backend denoiser=coreml,vae=mlx --units denoiser=ane --time-box none
    """
    from ..pipeline import Pipeline

    with (
        progress_bar(quiet or as_json) as progress,
        # What was compiled is kept on disk; nothing needs the models here.
        Pipeline.load(bundle, backend, units, reduce_memory=True, time_box=time_box) as pipeline,
    ):
        warmed = pipeline.prewarm(
            size=size,
            on_progress=lambda component, index, count: progress(f"loading {component}", index, count),
        )
    if as_json:
        echo_json([asdict(row) for row in warmed])
    elif not quiet:
        click.echo(_text(warmed))


def _text(warmed: "list[Warmed]") -> str:
    """A row a component."""
    states = {True: "compiled", False: "was compiled", None: "-"}
    head = ("component", "seconds", "Core ML", "backend")
    rows = [
        (row.component, f"{row.seconds:.2f}", states[row.compiled], f"{row.backend} ({row.reason})")
        for row in warmed
    ]
    return table(head, rows, right=("seconds",))
