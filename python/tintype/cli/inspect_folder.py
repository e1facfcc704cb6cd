"""`tintype inspect` of a folder of models, such as `--profile apple-sd3` writes."""

from pathlib import Path
from typing import Any

import click

from ..names import PROFILE_FILE
from ..values import bytes_text
from .output import count_text, table

__all__ = ["describe_folder", "has_models", "packages_in", "print_folder"]


def has_models(path: Path) -> bool:
    """Whether packages or compiled models lie in the folder."""
    return path.is_dir() and any(True for kind in ("mlpackage", "mlmodelc") for _ in path.glob(f"*.{kind}"))


def packages_in(path: Path) -> dict[str, Path]:
    """The folder's packages by their names."""
    return {place.stem: place for place in sorted(path.glob("*.mlpackage"))}


def describe_folder(path: Path) -> dict[str, Any]:
    """What lies in the folder: packages as they are read, compiled models by their size."""
    from ..apple_folder import AppleFolder
    from ..errors import BundleError
    from ..run.package import read_package
    from ..values import decode_json
    from .inspect import package_json

    try:
        # Not `read`: packages that were compiled may be gone.
        text = (path / PROFILE_FILE).read_text(encoding="utf-8")
        described = AppleFolder.from_json(decode_json(text)).to_json()
    except (OSError, ValueError, BundleError):
        described = None
    compiled = {
        place.stem: sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        for place in sorted(path.glob("*.mlmodelc"))
    }
    return {
        "kind": "folder",
        "path": str(path),
        "profile": described,
        "packages": {name: package_json(read_package(place)) for name, place in packages_in(path).items()},
        "compiled": compiled,
    }


def print_folder(value: dict[str, Any]) -> None:
    """`describe_folder` as text."""
    from .inspect import shape_text

    profile = value["profile"]
    if profile is not None:
        size = profile["size"]
        click.echo(
            f"{profile['name']} for Apple's pipeline ({profile['profile']}), "
            f"{profile['precision']}, {size['width']}x{size['height']}"
        )
    else:
        click.echo(f"{value['path']}: a folder of models")
    stored_as = _stored_as(profile)
    rows = []
    for name, package in value["packages"].items():
        function = next(iter(package["functions"].values()))
        rows.append(
            (
                name,
                count_text(package["parameters"]),
                bytes_text(package["weight_bytes"]),
                stored_as.get(name, ""),
                str(function["op_count"]),
                shape_text(function["inputs"]),
                shape_text(function["outputs"]),
            )
        )
    head = ("package", "parameters", "weights", "stored as", "ops", "inputs", "outputs")
    click.echo(table(head, rows, right=("parameters", "weights", "ops")))
    for name, size in value["compiled"].items():
        click.echo(f"{name}.mlmodelc: compiled, {bytes_text(size)}; only Core ML on a Mac reads it")


def _stored_as(profile: dict[str, Any] | None) -> dict[str, str]:
    """Package → the recipe or precision of its weights, as the profile has it."""
    if profile is None:
        return {}
    rows, precision = profile["components"].values(), profile["precision"]
    recipes = {row["path"]: row.get("compression", {}).get("recipe", precision) for row in rows}
    return {Path(path).stem: precision if recipe == "none" else recipe for path, recipe in recipes.items()}
