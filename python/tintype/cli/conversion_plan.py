"""`tintype convert --dry-run`: the plan as a table and as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..names import AUTO
from ..values import bytes_text
from .output import count_text, echo_json, table

__all__ = ["show_plan"]


def show_plan(source: Path, output: Path, options: Mapping[str, Any], as_json: bool) -> int:
    """Print what `convert` would write with these options; 1 if it would refuse the output or the disk has no
    room for it, else 0."""
    from ..emit import plan_conversion

    plan = plan_conversion(source, output, **options)
    failing = 1 if plan.obstacle or not plan.fits else 0
    if as_json:
        echo_json(plan.to_json())
        return failing
    head = ("package", "parameters", "as float16", "in the bundle", "stored as", "functions")
    rows = [
        (
            row.package,
            count_text(row.parameters),
            bytes_text(row.float16_bytes),
            _span(row.smallest_bytes, row.package_bytes),
            row.recipe or plan.precision,
            ", ".join(row.functions),
        )
        for row in plan.packages
    ]
    total = (
        "all",
        count_text(sum(row.parameters for row in plan.packages)),
        bytes_text(sum(row.float16_bytes for row in plan.packages)),
        _span(plan.smallest_bytes, plan.bundle_bytes),
        "",
        "",
    )
    click.echo(table(head, [*rows, total], right=head[1:4]))
    sizes = ", ".join(f"{size.width}x{size.height}" for size in plan.sizes)
    click.echo(f"\n{plan.family}, target {plan.target}, {sizes}; {bytes_text(plan.source_bytes)} are read")
    if plan.download_bytes:
        click.echo(f"to be downloaded first: {bytes_text(plan.download_bytes)}")
    memory = bytes_text(plan.peak_memory)
    click.echo(f"estimated: {plan.seconds:.0f} s on a plain SSD, up to {memory} of memory of its own")
    if options.get("quantize") == AUTO:
        click.echo("not included: measuring each recipe that auto tries, against a float32 conversion")
    else:
        click.echo("not included: comparing it with a float32 conversion (--verify, --no-verify)")
    if plan.disk_free is not None:
        short = "" if plan.fits else ": NOT ENOUGH"
        click.echo(f"disk: {bytes_text(plan.disk_needed)} needed, {bytes_text(plan.disk_free)} free{short}")
    if plan.obstacle:
        click.echo(f"convert would refuse: {plan.obstacle}")
    return failing


def _span(least: int, most: int) -> str:
    return bytes_text(most) if least == most else f"{bytes_text(least)} to {bytes_text(most)}"
