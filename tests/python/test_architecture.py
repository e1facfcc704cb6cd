"""Holds the package to the import directions of docs/architecture.md, by reading its sources."""

import ast
import pathlib

import pytest

import tintype
from tintype.files import CONVERTER, converter_sources

PACKAGE = pathlib.Path(tintype.__file__).parent

#: What any part may import: names, exceptions, checks of values, and the bundle's description.
LEAVES = {
    "names",
    "errors",
    "sinusoid",
    "values",
    "files",
    "weight",
    "bpe",
    "bundle",
    "bundle_components",
    "bundle_reader",
    "apple_folder",
}

#: part → parts of the package that it may import beside the leaves, lazily or not.
ALLOWED: dict[str, set[str]] = {
    "weights": {"_bridge"},
    "compress": set(),
    "layers": {"compress"},
    "models": {"layers"},
    "emit": {"models", "layers", "weights", "compress", "_bridge"},
    "run": {"_bridge"},
    "neural_engine": {"run"},
    "pipeline": {"run", "embedded"},
    "verify": {"pipeline", "emit", "layers", "neural_engine", "run"},
    "embedded": {"emit", "verify", "_bridge"},
    "diffusionkit": {"pipeline", "embedded", "_bridge"},
    "demo_world": set(),
    "bench": {"pipeline", "run", "emit", "models", "layers", "embedded", "demo_world"},
    "cli": {"pipeline", "run", "emit", "verify", "neural_engine", "bench", "embedded"},
}

#: leaf → leaves that it may import; a leaf without a row imports nothing of the package.
LEAVES_OF_LEAVES = {
    "files": {"errors"},
    "bpe": {"values"},
    "bundle_reader": {"errors", "values"},
    "bundle_components": {"names", "bundle_reader"},
    "apple_folder": {"names", "bundle", "bundle_reader"},
    "bundle": {"names", "errors", "values", "bundle_components", "bundle_reader"},
}


def imports(file: pathlib.Path) -> set[str]:
    """First path component below `tintype` of everything that a file imports, and foreign top-level names."""
    found = set()
    package = ("tintype", *file.relative_to(PACKAGE).with_suffix("").parts)[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            paths = [tuple(a.name.split(".")) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            paths = [(*module, a.name) for a in node.names]
        else:
            continue
        for path in paths:
            found.add(path[1] if path[0] == "tintype" and len(path) > 1 else path[0])
    return found


def parts() -> dict[str, list[pathlib.Path]]:
    """Every module and folder of the package with its source files."""
    found = {p.stem: [p] for p in PACKAGE.glob("*.py") if p.stem != "__init__"}
    return found | {p.parent.name: sorted(p.parent.rglob("*.py")) for p in PACKAGE.glob("*/__init__.py")}


def test_every_part_has_its_row() -> None:
    assert set(parts()) == set(ALLOWED) | LEAVES, "update docs/architecture.md and this test"


@pytest.mark.parametrize("part", [*ALLOWED, *sorted(LEAVES)])
def test_imports_go_one_way(part: str) -> None:
    allowed = LEAVES_OF_LEAVES.get(part, set()) if part in LEAVES else ALLOWED[part] | LEAVES
    ours = {*parts(), "_bridge"} - {part}
    for file in parts()[part]:
        bad = (imports(file) & ours) - allowed
        assert not bad, f"{file.relative_to(PACKAGE)} imports {sorted(bad)}"


def test_coremltools_is_imported_only_where_graphs_are_emitted() -> None:
    users = {f.relative_to(PACKAGE).parts[0] for f in PACKAGE.rglob("*.py") if "coremltools" in imports(f)}
    assert users <= {"emit", "layers"}


def test_only_layers_call_the_builder() -> None:
    callers = {
        f.relative_to(PACKAGE).parts[0]
        for f in PACKAGE.rglob("*.py")
        if any(
            isinstance(n, ast.ImportFrom)
            and (n.module or "").startswith("coremltools")
            and a.name == "Builder"
            for n in ast.walk(ast.parse(f.read_text()))
            if isinstance(n, ast.ImportFrom)
            for a in n.names
        )
    }
    assert callers == {"layers"}


def test_the_converters_sources_are_all_that_it_is_made_of() -> None:
    sources = converter_sources()
    assert all(file.is_file() for file in sources)
    known = {file.relative_to(PACKAGE).with_suffix("").parts[0] for file in sources}
    own = {file for part in CONVERTER for file in parts()[part]}
    assert own <= set(sources)
    used = {part for file in own for part in imports(file)} & set(parts())
    assert used <= known
    assert {"weight", "bpe", "names"} <= used
