"""Every public type, function and initialiser of the Swift package says what it is for, in a `///` comment."""

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
