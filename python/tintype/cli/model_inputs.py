"""The inputs of `tintype run`: arrays and pictures from files, in the dtypes that the model takes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..run import TensorInfo

__all__ = ["fitting", "read_inputs"]


def read_inputs(texts: Iterable[str]) -> dict[str, Any]:
    """What the NAME=FILE in `texts` hold: arrays from .npy files, PIL images, upright, from others."""
    values: dict[str, Any] = {}
    for text in texts:
        name, separator, file = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--input is {text!r}, expected NAME=FILE.npy or NAME=PICTURE.png")
        if name in values:
            raise UsageError(f"--input {name} is given twice: give each input once")
        values[name] = _value(name, file)
    return values


def _value(name: str, file: str) -> Any:
    import numpy as np

    from ..run.pictures import PictureError, load_picture, upright

    try:
        if not file.endswith(".npz"):
            return np.load(file, allow_pickle=False) if file.endswith(".npy") else upright(load_picture(file))
        problem = _archive_text(name, file)
    except PictureError as error:
        problem = f"cannot be read as an .npy file or a picture ({error.__cause__})"
    except (OSError, ValueError, EOFError) as error:
        problem = f"cannot be read as an .npy file or a picture ({error})"
    raise UsageError(f"--input {name}: {file} {problem}")


def _archive_text(name: str, file: str) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            held = [member.removesuffix(".npy") for member in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    shown = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "")
    one = repr(held[0] if held else name)
    return (
        f"is an archive of arrays ({shown or 'it is empty'}), expected one array: save it "
        f"with numpy.save({name + '.npy'!r}, numpy.load({file!r})[{one}])"
    )


def fitting(values: dict[str, Any], infos: Iterable["TensorInfo"], quiet: bool) -> dict[str, Any]:
    """`values` with arrays of floats, and of integers as int32, in the dtype that the model takes.

    A line on stderr says so. UsageError for values that the dtype cannot hold; other arrays stay as they are.
    """
    wanted = {info.name: info.dtype for info in infos if info.color_layout is None}
    return {name: _converted(name, value, wanted.get(name), quiet) for name, value in values.items()}


def _converted(name: str, value: Any, wanted: str | None, quiet: bool) -> Any:
    import numpy as np

    kinds = {"float16": "f", "float32": "f", "int32": "iu"}
    if wanted not in kinds or not isinstance(value, np.ndarray):
        return value
    if value.dtype == wanted or value.dtype.kind not in kinds[wanted]:
        return value
    with np.errstate(over="ignore"):
        converted = value.astype(wanted)
    lost = np.isfinite(value) & ~np.isfinite(converted) if kinds[wanted] == "f" else converted != value
    if lost.any():
        raise UsageError(
            f"--input {name} holds {value[lost].flat[0]}, which no {wanted} can: the model takes {wanted}"
        )
    if not quiet:
        click.echo(f"tintype: --input {name}: {value.dtype.name} is read as {wanted}", err=True)
    return converted
