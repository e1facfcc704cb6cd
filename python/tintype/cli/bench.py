"""`tintype bench`: measure this machine, the embedded model, a bundle or a package, and print a table."""

from pathlib import Path

import click
from click.core import ParameterSource

from ..errors import UsageError
from .output import backend_option, echo_json, progress_bar, size_option, units_option

__all__ = ["bench"]

SUITES = ("demo", "cpu", "fusion", "memory")
BUNDLE, PACKAGE = "a bundle", "a package"

#: Option → what it belongs to.
OWNERS = {
    "megabytes": ("memory",),
    "count": ("demo",),
    "steps": ("demo", BUNDLE),
    "backend": ("demo", BUNDLE, PACKAGE),
    "units": (BUNDLE, PACKAGE),
    "size": (BUNDLE,),
    "repeat": (BUNDLE, PACKAGE),
}
#: Of the suite demo, of a bundle; pictures a backend, predictions.
DEMO_STEPS, BUNDLE_STEPS, PICTURES, PREDICTIONS = 12, 4, 3, 1000


@click.command(short_help="Measure accuracy or speed.")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--suite",
    type=click.Choice(SUITES),
    default=SUITES[0],
    show_default=True,
    help="demo: does the embedded model draw what it is told, in float16 and in float32? "
    "cpu: how close does the engine come to this machine's sgemm and memcpy? "
    "fusion: what does it gain that the engine joins ops? "
    "memory: what does a package cost to open and to run? (Linux)",
)
@click.option(
    "--megabytes",
    type=click.IntRange(20, 100_000),
    default=1000,
    show_default=True,
    help="Weights of suite memory.",
)
@click.option(
    "--count", type=click.IntRange(10, 1000), default=200, show_default=True, help="Prompts to draw."
)
@click.option(
    "--steps",
    type=click.IntRange(1, 1000),
    help=f"Denoising steps. [default: {DEMO_STEPS}; of a bundle: {BUNDLE_STEPS}]",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000_000),
    help=f"Pictures of a bundle, or predictions of a package. [default: {PICTURES}, or {PREDICTIONS}]",
)
@size_option("The picture size of a bundle, one of its own. [default: its first]")
@backend_option
@units_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def bench(
    path: Path | None,
    suite: str,
    megabytes: int,
    count: int,
    steps: int | None,
    repeat: int | None,
    size: tuple[int, int] | None,
    backend: str,
    units: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a benchmark suite. With PATH instead: measure loading, text, modulation, a step and decoding of
    that bundle, or a prediction of that .mlpackage, on each backend that runs here, in turn (or on --backend
    alone). Medians.

    \b
    tintype bench --suite demo
    tintype bench --suite demo --count 50 --json
    tintype bench --suite cpu
    tintype bench --suite fusion
    tintype bench --suite memory --megabytes 4000
    tintype bench sd3.bundle --steps 8
    tintype bench add.mlpackage --backend mlx --json
    """
    is_package = path is not None and path.suffix == ".mlpackage"
    _check_options(suite if path is None else PACKAGE if is_package else BUNDLE)
    if path is not None and is_package:
        _package(path, backend, units, repeat or PREDICTIONS, as_json)
    elif path is not None:
        _bundle(path, backend, units, size, steps or BUNDLE_STEPS, repeat or PICTURES, quiet, as_json)
    elif suite in ("cpu", "fusion"):
        _engine(suite, quiet, as_json)
    elif suite == "memory":
        _memory(megabytes, as_json)
    else:
        _demo(count, steps or DEMO_STEPS, backend, quiet, as_json)


def _check_options(what: str) -> None:
    """UsageError for an option that does not belong to what is measured."""
    context = click.get_current_context()
    given = [n for n in context.params if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if "suite" in given and what not in SUITES:
        raise UsageError(f"--suite and {what} exclude each other: leave one of them out")
    for option, owners in OWNERS.items():
        if option in given and what not in owners:
            places = [f"--suite {owner}" if owner in SUITES else owner for owner in owners]
            raise UsageError(f"--{option} belongs to {' or '.join(places)}, not {what}: leave it out")


def _bundle(
    path: Path,
    backend: str,
    units: str,
    size: tuple[int, int] | None,
    steps: int,
    pictures: int,
    quiet: bool,
    as_json: bool,
) -> None:
    from ..bench.paths import bench_bundle
    from ..bundle import Bundle

    bundle = Bundle.read(path)
    with progress_bar(quiet or as_json) as progress:
        report = bench_bundle(
            bundle,
            backend,
            units,
            size,
            steps,
            pictures,
            lambda name, done, total: progress(f"drawing on {name}", done, total),
        )
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.text())


def _package(path: Path, backend: str, units: str, count: int, as_json: bool) -> None:
    from ..bench.paths import bench_package

    report = bench_package(path, backend, units, count)
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.text())


def _demo(count: int, steps: int, backend: str, quiet: bool, as_json: bool) -> None:
    from ..bench import run_demo

    with progress_bar(quiet) as progress:
        report = run_demo(
            count,
            steps=steps,
            backend=backend,
            on_image=lambda precision, done, total: progress(f"drawing ({precision})", done, total),
        )
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.text())


def _memory(megabytes: int, as_json: bool) -> None:
    import sys

    from ..bench.memory import report_text, run_memory

    if sys.platform != "linux":
        raise UsageError(f"--suite memory reads /proc, which {sys.platform} has not: run it on Linux")
    found = run_memory(megabytes)
    if as_json:
        echo_json(found)
    else:
        click.echo(report_text(found))


def _engine(suite: str, quiet: bool, as_json: bool) -> None:
    from ..bench.cpu import run_cpu
    from ..bench.fusion import run_fusion

    with progress_bar(quiet) as progress:
        run = run_cpu if suite == "cpu" else run_fusion
        report = run(lambda done, total: progress("measuring", done, total))
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.text())
