"""`tintype backends`: what runs on this machine, and why the rest does not."""

from typing import Any

import click

from .output import echo_json

__all__ = ["backends"]


@click.command(short_help="Show which backends run here, and why the others do not.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def backends(as_json: bool) -> None:
    """Show which backends run on this machine, and why the others do not."""
    from ..run import backends as list_backends

    rows = list_backends()
    if as_json:
        echo_json(
            [
                {
                    "name": row.name,
                    "available": row.available,
                    "reason": row.reason,
                    "details": dict(row.details),
                }
                for row in rows
            ]
        )
        return
    for row in rows:
        if row.available:
            click.echo(f"{row.name:7} available      {_details(row.details)}".rstrip())
        else:
            click.echo(f"{row.name:7} not available  {row.reason}")


def _details(details: Any) -> str:
    def text(value: Any) -> str:
        if isinstance(value, dict):
            value = [each for _, each in sorted(value.items())]
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    return "; ".join(f"{k.replace('_', ' ')} {text(v)}" for k, v in sorted(details.items()) if k != "name")
