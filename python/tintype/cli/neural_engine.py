"""`tintype inspect --neural-engine`: the forecast as text and as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import bytes_text, count_text, echo_json, table

if TYPE_CHECKING:
    from ..neural_engine import ComputePlan, PackageReport

__all__ = ["show_forecast"]

#: Kinds of misses that the text shows a package.
SHOWN_MISSES = 12
DEVICES = ("neural_engine", "gpu", "cpu")


def show_forecast(path: Path, is_bundle: bool, as_json: bool) -> None:
    """Print the forecast for every component of the bundle, or for the package, at `path`; on a Mac also what
    Core ML itself plans."""
    from ..neural_engine import compute_plan, has_compute_plans, inspect_package

    packages = _packages(path, is_bundle)
    reports = {name: inspect_package(package) for name, package in packages.items()}
    plans: dict[str, ComputePlan] = {}
    if has_compute_plans():
        plans = {name: compute_plan(package) for name, package in packages.items()}
    if as_json:
        value: dict[str, Any] = {"forecast": True, "path": str(path)}
        value["packages"] = {name: report.to_json() for name, report in reports.items()}
        if plans:
            value["compute_plans"] = {name: plan.to_json() for name, plan in plans.items()}
        echo_json(value)
        return
    click.echo("Forecast by published rules (docs/neural_engine.md), not measured on a device.\n")
    head = ("package", "clean FLOPs", "FLOPs", "weights", "values", "padding", "segments")
    rows = [
        (
            name,
            share_text(report.share),
            count_text(report.flops),
            bytes_text(report.weight_bytes),
            bytes_text(report.value_bytes),
            bytes_text(report.padding_bytes),
            str(report.segments),
        )
        for name, report in reports.items()
    ]
    click.echo(table(head, rows, right=head[1:]))
    for name, report in reports.items():
        _show_misses(name, report)
    click.echo("\nRoofline, ms a prediction at published rates:")
    chips = next(iter(reports.values())).roofline if reports else {}
    cells = [(n, *(f"{ms:.2f}" for ms in r.roofline.values())) for n, r in reports.items()]
    click.echo(table(("package", *chips), cells, right=tuple(chips)))
    if plans:
        _show_plans(plans)


def share_text(share: float) -> str:
    """A percentage that says 100 only where nothing is left out."""
    if share == 1:
        return "100 %"
    return f"{min(100 * share, 99.9999):.4f} %"


def _packages(path: Path, is_bundle: bool) -> dict[str, Path]:
    if not is_bundle:
        return {path.name: path}
    from ..bundle import Bundle

    bundle = Bundle.read(path)
    rows = [(name, bundle.package_paths(name)) for name in bundle.components]
    return {
        name if len(paths) == 1 else f"{name} {index}": path
        for name, paths in rows
        for index, path in enumerate(paths, 1)
    }


def _show_plans(plans: dict[str, "ComputePlan"]) -> None:
    """What Core ML plans for CPU and Neural Engine, from this system: no forecast."""
    whose = next(iter(plans.values())).implementation
    click.echo(f"\nCore ML's compute plan ({whose}, CPU and Neural Engine allowed):")
    rows = [
        (
            name,
            share_text(plan.share()),
            *(str(plan.devices.get(d, {}).get("operations", 0)) for d in DEVICES),
        )
        for name, plan in plans.items()
    ]
    head = ("package", "on the Neural Engine", *(f"{device} ops" for device in DEVICES))
    click.echo(table(head, rows, right=head[1:]))
    for name, plan in plans.items():
        for row in plan.elsewhere[:SHOWN_MISSES]:
            click.echo(f"  {name}: {row['name']} ({row['output']}) on {row['device']}")
        if len(plan.elsewhere) > SHOWN_MISSES:
            click.echo(f"  {name}: and {len(plan.elsewhere) - SHOWN_MISSES} more: --json lists them")


def _show_misses(name: str, report: "PackageReport") -> None:
    for note in report.notes:
        click.echo(f"\n{name}: {note}")
    if not report.misses:
        return
    click.echo(f"\n{name}: off the Neural Engine")
    for miss in report.misses[:SHOWN_MISSES]:
        share = miss.flops / report.flops if report.flops else 0.0
        click.echo(
            f"  {100 * share:8.4f} %  {miss.count} × {miss.op} ({miss.rule}): {miss.reason}; at {miss.place}"
        )
    if len(report.misses) > SHOWN_MISSES:
        click.echo(f"  and {len(report.misses) - SHOWN_MISSES} more kinds: --json lists them")
