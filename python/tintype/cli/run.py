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
    from ..errors import UsageError
    from ..files import atomic_write
    from ..pipeline.image import UNREADABLE
    from ..run import load_model

    arrays = {}
    for text in inputs:
        name, separator, file = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--input is {text!r}, expected NAME=FILE.npy or NAME=PICTURE.png")
        if name in arrays:
            raise UsageError(f"--input {name} is given twice: give each input once")
        try:
            arrays[name] = _array(file)
        except UNREADABLE as error:
            raise UsageError(
                f"--input {name}: {file} cannot be read as an .npy file or a picture ({error})"
            ) from error
    with load_model(package, backend, units, time_box) as model:
        outputs = model.predict(arrays, function, statistics=stats)
        statistics = model.last_statistics
        with atomic_write(output) as archive:
            _write(archive, outputs)
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


def _array(file: str) -> Any:
    """The values in an .npy file, or a picture in any format that PIL reads, upright."""
    import numpy as np

    if file.endswith(".npy"):
        return np.load(file, allow_pickle=False)
    from PIL import ImageOps

    from ..pipeline.image import load_picture

    return ImageOps.exif_transpose(load_picture(file))


def _write(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """An .npz file, whose arrays may have any name: `np.savez` has arguments of its own."""
    import zipfile

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
