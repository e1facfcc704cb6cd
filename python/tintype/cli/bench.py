"""`tintype bench`: measure this machine, or the embedded model, and print a table."""

import click
from click.core import ParameterSource

from .output import backend_option, echo_json, progress_bar

__all__ = ["bench"]

SUITES = ("demo", "cpu", "fusion", "memory")

#: Option → the one suite that it belongs to.
OWNERS = {"megabytes": "memory", "count": "demo", "steps": "demo", "backend": "demo"}


@click.command(short_help="Measure accuracy or speed.")
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
@click.option("--steps", type=click.IntRange(1, 1000), default=12, show_default=True, help="Denoising steps.")
@backend_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def bench(
    suite: str, megabytes: int, count: int, steps: int, backend: str, quiet: bool, as_json: bool
) -> None:
    """Run a benchmark suite. A bundle's stages, and a package's predictions, the Swift command measures.

    \b
    tintype bench --suite demo
    tintype bench --suite demo --count 50 --json
    tintype bench --suite cpu
    tintype bench --suite fusion
    tintype bench --suite memory --megabytes 4000
    """
    _check_options(suite)
    if suite in ("cpu", "fusion"):
        _engine(suite, quiet, as_json)
    elif suite == "memory":
        _memory(megabytes, as_json)
    else:
        _demo(count, steps, backend, quiet, as_json)


def _check_options(suite: str) -> None:
    """UsageError for an option of another suite."""
    from ..errors import UsageError

    context = click.get_current_context()
    for option, owner in OWNERS.items():
        if owner != suite and context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{option} belongs to --suite {owner}, not {suite}: leave it out")


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
    from ..errors import UsageError

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
