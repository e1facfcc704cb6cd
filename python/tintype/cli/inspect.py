"""`tintype inspect`: what a bundle or an .mlpackage holds, and the settings inside a picture."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..values import bytes_text
from .inspect_folder import describe_folder, has_models, print_folder
from .neural_engine import share_option, show_forecast
from .output import count_text, echo_json, table
from .picture import picture_settings, print_settings

if TYPE_CHECKING:
    from ..run import TensorInfo
    from ..run.package import PackageSummary

__all__ = ["inspect", "package_json", "shape_text"]

#: Ops that a table names; the rest is counted together.
SHOWN_OPS = 8
#: Shapes of an input that takes one of several.
SHOWN_SHAPES = 4


@click.command(short_help="Show what a bundle, an .mlpackage or a picture holds.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--neural-engine", is_flag=True, help="Forecast what would run on the Neural Engine, op by op.")
@share_option(
    "--require",
    "With --neural-engine: exit code 1 if a package has less of its work there, by Core ML's plan on a Mac,"
    " else by the forecast.",
)
def inspect(path: Path, as_json: bool, neural_engine: bool, require: float | None) -> None:
    """Show what the bundle, the .mlpackage or the folder of them at PATH holds: inputs, outputs, parameters,
    bytes, ops.

    Of a PNG that tintype wrote: the settings that it was made with.
    """
    from ..errors import ModelFileError, UsageError
    from ..names import BUNDLE_FILE

    if require is not None and not neural_engine:
        raise UsageError("--require is a bar for --neural-engine: name both, or neither")
    if not path.exists():
        raise ModelFileError(f"there is nothing at {path}: name a bundle or an .mlpackage")
    if path.is_file() and path.suffix.lower() == ".png" and not neural_engine:
        settings = picture_settings(path)
        echo_json({"kind": "picture", "path": str(path), **settings}) if as_json else print_settings(settings)
        return
    is_bundle = path.name == BUNDLE_FILE or (path / BUNDLE_FILE).is_file()
    path = path.parent if path.name == BUNDLE_FILE else path
    if neural_engine:
        show_forecast(path, is_bundle, as_json, require)
        return
    is_package = path.suffix == ".mlpackage" or (path / "Data").is_dir()
    if not is_bundle and not is_package and has_models(path):
        value = describe_folder(path)
        echo_json(value) if as_json else print_folder(value)
        return
    if not is_bundle and not is_package:
        raise ModelFileError(f"{path} is no bundle, .mlpackage, folder of them, or .png: name one of these")
    value = _bundle(path) if is_bundle else _package(path)
    if as_json:
        echo_json(value)
    elif is_bundle:
        _print_bundle(value)
    else:
        _print_package(value)


def _tensors(rows: Iterable["TensorInfo"]) -> list[dict[str, Any]]:
    """Name, dtype and shape of each, and what else there is to tell."""
    more = ("optional", "color_layout", "ranges", "shapes")
    return [
        {"name": r.name, "dtype": r.dtype, "shape": list(r.shape) if r.shape is not None else None}
        | {key: getattr(r, key) for key in more if getattr(r, key)}
        for r in rows
    ]


def package_json(summary: "PackageSummary") -> dict[str, Any]:
    """Everything that the package says of itself."""
    return {
        "specification_version": summary.specification_version,
        "functions": {
            name: {
                "inputs": _tensors(function.inputs),
                "outputs": _tensors(function.outputs),
                "states": _tensors(function.states),
                "op_count": sum(function.ops.values()),
                "ops": dict(function.ops),
                **({} if function.classes is None else {"classes": function.classes}),
            }
            for name, function in summary.functions.items()
        },
        "parameters": summary.parameters,
        "weight_bytes": summary.weight_bytes,
        "metadata": dict(summary.metadata),
    }


def _package(path: Path) -> dict[str, Any]:
    from ..run.package import read_package

    return {"kind": "package", "path": str(path), **package_json(read_package(path))}


def _bundle(path: Path) -> dict[str, Any]:
    from ..bundle import Bundle
    from ..run.package import read_package

    bundle: Bundle = Bundle.read(path)
    described = bundle.to_json()
    components = {}
    for name in bundle.components:
        packages = [read_package(path) for path in bundle.package_paths(name)]
        # Functions of a package differ in size only.
        ops = sum((Counter(next(iter(p.functions.values())).ops) for p in packages), Counter())
        components[name] = {
            **described["components"][name],
            "specification_version": packages[0].specification_version,
            "op_count": sum(ops.values()),
            "ops": dict(ops.most_common()),
        }
    return {"kind": "bundle", "path": str(path), **described, "components": components}


def shape_text(rows: list[dict[str, Any]]) -> str:
    """Tensors in a cell of a table."""

    def one(row: dict[str, Any]) -> str:
        layout = row.get("color_layout")
        kind = f"{layout} image" if layout else row["dtype"]
        optional = ", optional" if row.get("optional") else ""
        return f"{row['name']} {kind} {_size_text(row, bool(layout))}{optional}"

    return "; ".join(one(row) for row in rows) or "-"


def _size_text(row: dict[str, Any], is_image: bool) -> str:
    """What shapes a tensor may have, of a picture width x height."""
    if row.get("ranges"):
        extents = [_extent(least, most) for least, most in row["ranges"]]
        return f"({extents[1]}) x ({extents[0]})" if is_image else f"[{', '.join(extents)}]"
    if row["shape"] is None:
        return "[any]"
    shapes = row.get("shapes") or [row["shape"]]
    texts = [
        f"{shape[1]}x{shape[0]}" if is_image else f"[{', '.join('?' if n < 0 else str(n) for n in shape)}]"
        for shape in shapes[:SHOWN_SHAPES]
    ]
    rest = len(shapes) - len(texts)
    return " or ".join(texts) + (f" or {rest} others" if rest else "")


def _extent(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least} or more" if most < 0 else f"{least} to {most}"


def _ops(ops: Mapping[str, int]) -> str:
    rows = sorted(ops.items(), key=lambda row: (-row[1], row[0]))
    shown = [f"{count} {name}" for name, count in rows[:SHOWN_OPS]]
    rest = sum(count for _, count in rows[SHOWN_OPS:])
    return ", ".join(shown) + (f", {rest} others" if rest else "")


def _sizes(value: dict[str, Any]) -> str:
    """Every size, the default first."""
    return ", ".join(f"{s['width']}x{s['height']}" for s in value.get("sizes") or [value["size"]])


def _print_bundle(value: dict[str, Any]) -> None:
    schedule, defaults = value["schedule"], value["defaults"]
    click.echo(
        f"{value['name']}: {value['family']}, {value['precision']}, {_sizes(value)}, target {value['target']}"
    )
    click.echo(
        f"schedule {schedule['kind']}, shift {schedule['shift']:g}; "
        f"default {defaults['steps']} steps, guidance {defaults['guidance_scale']:g}"
    )
    click.echo()
    head = ("component", "parameters", "weights", "ops", "inputs", "outputs")
    rows = [
        (
            f"{name} ({len(c['chunks'])} chunks)" if "chunks" in c else name,
            count_text(c["parameters"]),
            bytes_text(c["weight_bytes"]),
            str(c["op_count"]),
            shape_text(c["inputs"]),
            shape_text(c["outputs"]),
        )
        for name, c in value["components"].items()
    ]
    total = sum(c["parameters"] for c in value["components"].values())
    weights = sum(c["weight_bytes"] for c in value["components"].values())
    ops = sum(c["op_count"] for c in value["components"].values())
    rows.append(("all", count_text(total), bytes_text(weights), str(ops), "", ""))
    click.echo(table(head, rows, right=("parameters", "weights", "ops")))
    click.echo()
    for name, row in value["tokenizers"].items():
        click.echo(f"{name}: {row['kind']}, {row['max_length']} tokens")


def _print_package(value: dict[str, Any]) -> None:
    click.echo(
        f"{value['path']}: specification {value['specification_version']}, "
        f"{count_text(value['parameters'])} parameters, {bytes_text(value['weight_bytes'])} of weights"
    )
    for name, function in value["functions"].items():
        classes = f", a classifier of {function['classes']} classes" if "classes" in function else ""
        click.echo(f"\n{name}: {function['op_count']} ops ({_ops(function['ops'])}){classes}")
        for kind in ("inputs", "outputs", "states"):
            for row in function[kind]:
                click.echo(f"  {kind[:-1]:7}{shape_text([row])}")
    for key, text in value["metadata"].items():
        click.echo(f"\n{key}: {text}" if key == next(iter(value["metadata"])) else f"{key}: {text}")
