"""A bundle's sizes: which of them are measured, and a look at the functions of all."""

from collections.abc import Sequence
from pathlib import Path

from .. import names
from ..bundle import Bundle, Chunk, Size
from ..errors import BundleError, UsageError
from ..run.package import PackageSummary, read_package

__all__ = ["ALL", "SizeChoice", "check_functions", "chosen_sizes", "size_text"]

#: "all", or sizes as (width, height).
SizeChoice = str | Sequence[tuple[int, int]]

ALL = "all"

LATENTS = (names.LATENT, names.VELOCITY, names.MOMENTS)


def size_text(size: Size) -> str:
    """WIDTHxHEIGHT"""
    return f"{size.width}x{size.height}"


def chosen_sizes(bundle: Bundle, choice: SizeChoice) -> list[Size]:
    """The sizes of `choice` but the default one, in the bundle's order; UsageError for one it lacks."""
    known = {(size.width, size.height): size for size in bundle.sizes}
    wanted = list(known) if choice == ALL else [tuple(size) for size in choice]
    for size in wanted:
        if size not in known:
            sizes = ", ".join(size_text(size) for size in bundle.sizes)
            raise UsageError(f"size is {size!r}, but {bundle.name} has {sizes}: name one of them, or all")
    return [size for pair, size in known.items() if pair in wanted and size != bundle.size]


def check_functions(bundle: Bundle) -> None:
    """Whether the functions of every size have the shapes of that size, and the packages have those functions
    as bundle.json describes them. Nothing is run.

    BundleError, naming component and function, where it is not so.
    """
    for name, component in bundle.components.items():
        if not component.functions:
            continue
        for size in bundle.sizes:
            _check_shapes(bundle, name, size)
        for part, path in zip(component.parts, bundle.package_paths(name), strict=True):
            _check_package(name, part, path, read_package(path))


def _check_shapes(bundle: Bundle, name: str, size: Size) -> None:
    function = names.size_function(size.width, size.height)
    interface = bundle.component(name).functions[function]
    latent = bundle.latent_at(size.width, size.height)
    for spec in (*interface.inputs, *interface.outputs):
        expected = (latent.height, latent.width) if spec.name in LATENTS else None
        expected = (size.height, size.width) if spec.name == names.IMAGE else expected
        if expected is not None and spec.shape[2:] != expected:
            raise BundleError(
                f"{name}: {spec.name} of {function} has the shape {list(spec.shape)}, expected "
                f"{' x '.join(map(str, expected))} at the end: convert the model again"
            )


def _check_package(name: str, part: Chunk, path: Path, package: PackageSummary) -> None:
    for function, interface in part.functions.items():
        found = package.functions.get(function)
        if found is None:
            raise BundleError(f"{name}: {path.name} has no function {function}: convert the model again")
        for kind, listed, rows in (
            ("inputs", interface.inputs, found.inputs),
            ("outputs", interface.outputs, found.outputs),
        ):
            want = sorted((spec.name, spec.dtype, tuple(spec.shape)) for spec in listed)
            have = sorted((row.name, row.dtype, tuple(row.shape or ())) for row in rows)
            if want != have:
                raise BundleError(
                    f"{name}: {path.name} has the {kind} {have} in {function}, but {names.BUNDLE_FILE} lists "
                    f"{want}: convert the model again"
                )
