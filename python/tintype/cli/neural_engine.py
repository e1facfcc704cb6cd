"""`tintype inspect --neural-engine`: the forecast as text and as JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..values import bytes_text
from .inspect_folder import packages_in
from .output import count_text, echo_json, table

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..neural_engine import ComputePlan, PackageReport

__all__ = ["bundle_packages", "share_option", "show_forecast"]

F = TypeVar("F", bound=Callable[..., Any])

#: Kinds of misses that the text shows a package.
SHOWN_MISSES = 12
DEVICES = ("neural_engine", "gpu", "cpu")


def show_forecast(path: Path, is_bundle: bool, as_json: bool, required: float | None) -> None:
    """Print the forecast for every component of the bundle, or for the package, at `path`; on a Mac also what
    Core ML itself plans. ConversionError if a package has less than the share `required`."""
    from ..errors import ConversionError
    from ..neural_engine import Requirement, compute_plan, has_compute_plans, inspect_package

    packages = _packages(path, is_bundle)
    reports = {name: inspect_package(package) for name, package in packages.items()}
    plans: dict[str, ComputePlan] = {}
    if has_compute_plans():
        plans = {name: compute_plan(package) for name, package in packages.items()}
    bar = None if required is None else Requirement.of_reports(required, reports, plans)
    if as_json:
        value: dict[str, Any] = {"forecast": True, "path": str(path)}
        value["packages"] = {name: report.to_json() for name, report in reports.items()}
        if plans:
            value["compute_plans"] = {name: plan.to_json() for name, plan in plans.items()}
        if bar is not None:
            value["required"] = bar.to_json()
        echo_json(value)
    else:
        _show_text(reports, plans)
    if bar is not None and bar.complaint:
        raise ConversionError(bar.complaint)


def _show_text(reports: Mapping[str, "PackageReport"], plans: Mapping[str, "ComputePlan"]) -> None:
    from ..neural_engine import share_text

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


def share_option(name: str, text: str) -> Callable[[F], F]:
    """A percentage such as 95%, given to the command as a share of 0 … 1."""

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            percent = float(value.removesuffix("%")) if value.endswith("%") else -1.0
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            raise click.BadParameter(f"{value!r} is no percentage from 0% to 100%, such as 95%")
        return percent / 100

    return click.option(name, metavar="PERCENT", callback=parse, help=text)


def _packages(path: Path, is_bundle: bool) -> dict[str, Path]:
    if not is_bundle:
        return packages_in(path) or {path.name: path}
    from ..bundle import Bundle

    return bundle_packages(Bundle.read(path))


def bundle_packages(bundle: "Bundle") -> dict[str, Path]:
    """Every package of the bundle; chunks are numbered."""
    rows = [(name, bundle.package_paths(name)) for name in bundle.components]
    return {
        name if len(paths) == 1 else f"{name} {index}": path
        for name, paths in rows
        for index, path in enumerate(paths, 1)
    }


def _show_plans(plans: Mapping[str, "ComputePlan"]) -> None:
    """What Core ML plans for CPU and Neural Engine, from this system: no forecast."""
    from ..neural_engine import share_text

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
