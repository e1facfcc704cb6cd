"""The Swift libraries: public types, functions and initialisers say what they are for in a `///` comment, and nothing prints or forces."""

import pathlib
import re

import pytest

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "swift/Sources"
MODULES = sorted(p.name for p in SOURCES.iterdir() if p.name not in ("TintypeCLI", "TintypeRuntime"))

DECLARATION = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|open)\s+"
    r"(?:(?:static|class|final|mutating|convenience|prefix|indirect|nonisolated|override)\s+)*"
    r"(?P<kind>func|init|struct|class|enum|protocol|actor|typealias|subscript)\b\s*(?P<name>[^\s(<:{]*)"
)
#: What documents itself: requirements of the standard library's protocols, which DocC takes from there.
INHERITED = re.compile(
    r"func (==|hash|encode|[-+*/%.<>=!&|^]+)|init\(from |init\(rawValue|init\(\) \{\}|init\([a-zA-Z]+Literal "
)


def undocumented(module: str) -> list[str]:
    found = []
    for file in sorted((SOURCES / module).rglob("*.swift")):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if not DECLARATION.match(line) or INHERITED.search(line):
                continue
            above = number - 1
            while lines[above].strip().startswith("@") or "swift-format-ignore" in lines[above]:
                above -= 1
            if not lines[above].strip().startswith("///"):
                found.append(f"{file.relative_to(SOURCES)}:{number + 1}: {line.strip()}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_public_symbols_are_documented(module: str) -> None:
    assert undocumented(module) == []


#: What would end an app's process, or write where an app has not asked for it.
FORBIDDEN = re.compile(r"\b(print|debugPrint|dump|NSLog|fatalError)\(|\btry!|\bas!|\.unsafelyUnwrapped\b")


@pytest.mark.parametrize("module", [*MODULES, "TintypeRuntime"])
def test_libraries_neither_print_nor_force(module: str) -> None:
    found = [
        f"{file.relative_to(SOURCES)}:{number}: {line.strip()}"
        for file in sorted((SOURCES / module).rglob("*.swift"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if FORBIDDEN.search(line.split("//")[0])
    ]
    assert found == []
