"""The Swift libraries: every public declaration says what it is for in a `///` comment, and nothing prints or forces.

Members are told from locals by their indentation, which swift-format keeps.
"""

import pathlib
import re
from collections.abc import Iterator

import pytest

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "swift/Sources"
MODULES = sorted(p.name for p in SOURCES.iterdir() if p.name not in ("TintypeCLI", "TintypeRuntime"))

TYPES = ("struct", "class", "enum", "protocol", "actor", "extension")
DECLARATION = re.compile(
    r"^(?P<indent> *)(?:@\w+(?:\([^)]*\))?\s+)*"
    r"(?P<modifiers>(?:(?:public|open|package|internal|fileprivate|private|static|final|mutating|convenience|prefix"
    r"|indirect|nonisolated|override|required|lazy|weak|\w+\(set\)|class(?=\s+(?:func|var)))\s+)*)"
    r"(?P<kind>func|init|subscript|typealias|associatedtype|var|let|case|" + "|".join(TYPES) + r")\b"
)
HIDDEN = {"package", "internal", "fileprivate", "private"}
#: What documents itself: requirements of the standard library's protocols, which DocC takes from there.
INHERITED = re.compile(
    r"func (==|hash|encode|[-+*/%.<>=!&|^]+)|init\(from |init\(rawValue|init\(\) \{\}|init\([a-zA-Z]+Literal "
    r"|var (description|debugDescription|errorDescription|rawValue)\b"
)


def public_declarations(lines: list[str]) -> Iterator[int]:
    """Places of the declarations that other modules see: public ones, cases of public enums, requirements of public
    protocols."""
    # Indentation of what encloses the line, and which members are public there: "case", "all" or none.
    scopes = [(-1, "")]
    for number, line in enumerate(lines):
        match = DECLARATION.match(line)
        if match is None:
            continue
        indent, kind, modifiers = len(match["indent"]), match["kind"], set(match["modifiers"].split())
        while scopes[-1][0] >= indent:
            scopes.pop()
        inherits = scopes[-1][1] in ("all", kind) and not modifiers & HIDDEN
        visible = bool(modifiers & {"public", "open"}) or inherits
        opens = {"protocol": "all", "extension": "all", "enum": "case"}.get(kind, "") if visible else ""
        scopes.append((indent, opens))
        if visible and kind != "extension":
            yield number


def undocumented(module: str) -> list[str]:
    found = []
    for file in sorted((SOURCES / module).rglob("*.swift")):
        lines = file.read_text().splitlines()
        for number in public_declarations(lines):
            above = number - 1
            while (
                lines[above].strip().startswith(("@", "#if", "#else"))
                or "swift-format-ignore" in lines[above]
            ):
                above -= 1
            if not INHERITED.search(lines[number]) and not lines[above].strip().startswith("///"):
                found.append(f"{file.relative_to(SOURCES)}:{number + 1}: {lines[number].strip()}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_public_symbols_are_documented(module: str) -> None:
    assert undocumented(module) == []


def test_declarations_are_found() -> None:
    source = """
public struct A {
  public let a: Int
  let hidden: Int
  public func b() {
    let local = 1
    switch local { default: break }
  }
  public enum C: String {
    case d
    private case e
    var hidden: Int { 1 }
  }
}
public protocol P {
  func f() throws
  var g: Int { get }
}
enum Hidden {
  case h
  public static var i = 1
}
"""
    found = [
        source.splitlines()[n].strip().split("{")[0].strip() for n in public_declarations(source.splitlines())
    ]
    expected = (
        "public struct A;public let a: Int;public func b();public enum C: String;case d;public protocol P"
    )
    assert found == [*expected.split(";"), "func f() throws", "var g: Int", "public static var i = 1"]


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
