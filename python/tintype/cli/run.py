"""`tintype run`: any .mlpackage on numpy files."""

from pathlib import Path
from typing import Any

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
    required=True,
    help="The .npz file for the outputs.",
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
    output: Path,
    stats: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run PACKAGE (.mlpackage) once on arrays from .npy files, or pictures; writes its outputs to an .npz."""
    import numpy as np

    from ..errors import UsageError
    from ..files import atomic_write
    from ..run import load_model

    arrays = {}
    for text in inputs:
        name, separator, file = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--input is {text!r}, expected NAME=FILE.npy or NAME=PICTURE.png")
        if name in arrays:
            raise UsageError(f"--input {name} is given twice: give each input once")
        try:
            arrays[name] = np.load(file, allow_pickle=False) if file.endswith(".npy") else _picture(file)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--input {name}: {file} cannot be read as an .npy file or a picture ({error})"
            ) from error
    with load_model(package, backend, units, time_box) as model:
        outputs = model.predict(arrays, function, statistics=stats)
        statistics = model.last_statistics
        with atomic_write(output) as archive:
            np.savez(archive, **outputs)  # type: ignore[arg-type]
        backend, reason = model.backend, model.reason
    if as_json:
        rows = [{"name": n, "dtype": str(v.dtype), "shape": list(v.shape)} for n, v in outputs.items()]
        report = {"package": str(package), "backend": backend, "reason": reason, "outputs": rows}
        echo_json({**report, "output": str(output), **({"statistics": statistics} if stats else {})})
        return
    if quiet:
        return
    click.echo(f"{package} on {backend} ({reason})")
    for name, value in outputs.items():
        click.echo(f"{name}: {value.dtype} [{', '.join(map(str, value.shape))}]")
    click.echo(str(output))
    if stats:
        click.echo(prediction_text(statistics))


def _picture(file: str) -> Any:
    """A picture in any format that PIL reads, upright."""
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        return ImageOps.exif_transpose(image).copy()
