"""`tintype run`: any .mlpackage on numpy files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from .output import backend_option, echo_json, time_box_option, units_option
from .statistics import prediction_text, stats_option

__all__ = ["run"]


@click.command(short_help="Run any .mlpackage on numpy files.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE",
    help="An input, .npy or a picture; once for each.",
)
@click.option("--function", help="Function of a package with several. [default: its default one]")
@backend_option
@units_option
@time_box_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .npz file for the outputs. [default: none, their values are printed]",
)
@stats_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print backend, outputs and statistics as JSON.")
def run(
    package: Path,
    inputs: tuple[str, ...],
    function: str | None,
    backend: str,
    units: str,
    time_box: float | None,
    output: Path | None,
    stats: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run PACKAGE (.mlpackage) once on arrays from .npy files, or pictures; writes its outputs to an .npz, or
    prints them, the middle of large ones left out.

    Where the model takes floats or int32, arrays of other floats or integers are read as that. States begin
    with zeros.
    """
    from ..files import atomic_write, check_writable
    from ..run import load_model
    from .model_inputs import fitting, read_inputs

    arrays = read_inputs(inputs)
    if output is not None:
        check_writable(output)
    with load_model(package, backend, units, time_box) as model:
        described = model.describe(function)
        arrays = fitting(arrays, described.inputs, quiet)
        state = model.make_state(function) if described.states else None
        outputs = model.predict(arrays, function, state=state, statistics=stats)
        statistics = model.last_statistics
        if output is not None:
            with atomic_write(output) as archive:
                _write(archive, outputs)
        backend, reason = model.backend, model.reason
    if as_json:
        rows = [{"name": n, "dtype": str(v.dtype), "shape": list(v.shape)} for n, v in outputs.items()]
        report = {"package": str(package), "backend": backend, "reason": reason, "outputs": rows}
        place = None if output is None else str(output)
        echo_json({**report, "output": place, **({"statistics": statistics} if stats else {})})
        return
    if quiet:
        return
    click.echo(f"{package} on {backend} ({reason})")
    for name, value in outputs.items():
        click.echo(f"{name}: {value.dtype} [{', '.join(map(str, value.shape))}]")
        if output is None:
            click.echo(value)
    if output is not None:
        click.echo(str(output))
    if stats:
        click.echo(prediction_text(statistics))


def _write(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """An .npz file, whose arrays may have any name: `np.savez` has arguments of its own."""
    import zipfile

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
