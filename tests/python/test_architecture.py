"""Holds the package to the import directions of docs/architecture.md, by reading its sources."""

import ast
import pathlib

import pytest

import tintype

PACKAGE = pathlib.Path(tintype.__file__).parent

#: part → parts of the package that it must never import.
FORBIDDEN = {
    "names.py": {"*"},
    "errors.py": {"*"},
    "weights": {"layers", "models", "emit", "run", "pipeline", "cli", "embedded"},
    "compress": {"weights", "layers", "models", "emit", "run", "pipeline", "cli", "embedded"},
    "layers": {"weights", "models", "emit", "run", "pipeline", "cli", "embedded"},
    "models": {"weights", "emit", "run", "pipeline", "cli", "embedded"},
    "emit": {"run", "pipeline", "cli", "embedded"},
    "run": {"weights", "layers", "models", "emit", "pipeline", "cli", "embedded"},
    "verify": {"models", "weights", "cli", "embedded"},
    "neural_engine": {"weights", "layers", "models", "emit", "pipeline", "cli", "embedded"},
    "pipeline": {"weights", "layers", "models", "emit", "cli"},
    "demo_world": {"weights", "layers", "models", "emit", "run", "pipeline", "cli", "embedded"},
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


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_go_one_way(part: str) -> None:
    target = PACKAGE / part
    files = [target] if target.is_file() else sorted(target.rglob("*.py"))
    assert files, f"{part} is gone; update docs/architecture.md and this test"
    parts = {p.stem for p in PACKAGE.iterdir() if not p.name.startswith("__")}
    for file in files:
        used = imports(file) & parts
        bad = used if "*" in FORBIDDEN[part] else used & FORBIDDEN[part]
        assert not bad, f"{file.relative_to(PACKAGE)} imports {sorted(bad)}"


def test_coremltools_is_imported_only_where_graphs_are_emitted() -> None:
    users = {f.relative_to(PACKAGE).parts[0] for f in PACKAGE.rglob("*.py") if "coremltools" in imports(f)}
    assert users <= {"emit", "layers", "models"}


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
    assert callers <= {"layers", "emit"}
