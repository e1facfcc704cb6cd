"""The refusals of the engine's sources: every call that throws an EngineError, as a pattern of its text."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[4]
ENGINE = ROOT / "bridge/engine"

#: What is called → the places of (where, problem, got, expected, remedy) among its arguments; None: not given
#: there. `refuse` takes a status and a Problem in braces. A refusal of another name is one that no table sees:
#: name it `refuse…`, `fail` or `require`, and add it here.
CALLS = {
    "refuse": (0, 1, 2, 3, 4),
    "fail": (None, 0, 1, 2, 3),
    "require": (None, 1, None, None, None),
    "refuse_blob": (None, 0, 1, 2, None),
    "refuse_damage": (None, 1, None, None, None),
    "refuse_file": (None, None, None, None, None),
    "refuse_format": (0, 1, 2, 3, None),
    "refuse_manifest": (None, 0, 1, None, None),
}

#: Calls that only look alike.
NO_REFUSALS = {"refuse_if_cancelled", "refuse_if_forked"}


@dataclass(frozen=True)
class Refusal:
    """One call: its file, its line, the literal parts of its problem, and what its texts look like."""

    file: str
    line: int
    problem: str
    pattern: re.Pattern[str]

    @property
    def key(self) -> str:
        return f"{self.file}: {self.problem}"


def _without_comments(text: str) -> str:
    """Comments as spaces, so that lines stay where they are."""
    parts = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'|//[^\n]*|/\*.*?\*/', re.S)

    def keep(match: re.Match[str]) -> str:
        part = match.group()
        return part if part[0] in "\"'" else re.sub(r"[^\n]", " ", part)

    return parts.sub(keep, text)


def _closing(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at `start`."""
    depth, at = 0, start
    while True:
        if text[at] == '"':
            at = re.compile(r'"(?:\\.|[^"\\])*"').match(text, at).end()
            continue
        if text[at] == "'":
            at = re.compile(r"'(?:\\.|[^'\\])'").match(text, at).end()
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        at += 1
        if depth == 0:
            return at


def _arguments(text: str) -> list[str]:
    """The comma-separated parts of what stands inside brackets."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] in "([{":
            at = _closing(text, at)
        elif text[at] == '"':
            at = re.compile(r'"(?:\\.|[^"\\])*"').match(text, at).end()
        elif text[at] == ",":
            parts.append(text[start:at].strip())
            start = at = at + 1
        else:
            at += 1
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts


def _pieces(expression: str) -> list[str | None]:
    """The literal parts of a C++ text expression, None where anything may stand."""
    pieces: list[str | None] = []
    at = 0
    while at < len(expression):
        if expression[at] == '"':
            match = re.compile(r'"((?:\\.|[^"\\])*)"').match(expression, at)
            pieces.append(match.group(1).replace('\\"', '"').replace("\\\\", "\\"))
            at = match.end()
        elif expression[at] in "([{":
            inside = expression[at : _closing(expression, at)]
            # std::string("a") + b keeps its literal; a function's argument is no text of the refusal.
            kept = re.fullmatch(r'\(\s*"((?:\\.|[^"\\])*)"\s*\)', inside, re.S)
            pieces.append(kept.group(1) if kept and expression[:at].endswith("std::string") else None)
            at += len(inside)
        else:
            if (
                not expression[at].isspace()
                and expression[at] != "+"
                and (not pieces or pieces[-1] is not None)
            ):
                pieces.append(None)
            at += 1
    return pieces


def _pattern(expression: str) -> str:
    """A pattern of what the expression gives; a choice between texts may give anything."""
    pieces = _pieces(expression)
    if (
        re.search(r"\?(?![^\"]*\")", re.sub(r"\([^()]*\)", "", expression.replace('"', "")))
        and None in pieces
    ):
        pieces = [None]
    return re.sub(r"(\.\*)+", ".*", "".join(".*" if piece is None else re.escape(piece) for piece in pieces))


def _refusal(file: str, line: int, name: str, inside: str) -> Refusal:
    arguments = _arguments(inside)
    if name == "refuse":
        arguments = _arguments(arguments[1][1:-1])
    places = CALLS[name]
    given = [arguments[p] if p is not None and p < len(arguments) and arguments[p] not in ('""', "{}") else None
             for p in places]  # fmt: skip
    _, problem, got, expected, _ = given
    text = _pattern(problem or "")
    if got is not None:
        text += ", got " + _pattern(got)
    if expected is not None:
        text += ", expected " + _pattern(expected)
    literal = re.sub("…+", "…", "".join(piece or "…" for piece in _pieces(problem or "")))
    return Refusal(file, line, literal, re.compile(text, re.S))


def refusals() -> Iterator[Refusal]:
    """Every refusal of the engine's sources, in their order."""
    names = "|".join(CALLS)
    for path in sorted(ENGINE.rglob("*")):
        if path.suffix not in {".cpp", ".h", ".inl"}:
            continue
        text = _without_comments(path.read_text())
        for match in re.finditer(rf"(?<![\w~])({names})\(", text):
            if re.search(r"(void|noreturn\]\]) +(\w+::)?$", text[: match.start()]):
                continue  # a declaration
            inside = text[match.end() : _closing(text, match.end() - 1) - 1]
            line = text.count("\n", 0, match.start()) + 1
            found = _refusal(str(path.relative_to(ENGINE)), line, match.group(1), inside)
            if found.problem.strip("…"):  # else a wrapper, whose callers say what is wrong
                yield found


def texts_of_cpp_tests() -> list[str]:
    """The texts in the C++ tests; neighbouring literals are one."""
    texts = []
    for path in (ROOT / "tests/engine").glob("test_*.cpp"):
        joined = re.sub(r'"\s*"', "", path.read_text())
        texts += [match.replace('\\"', '"') for match in re.findall(r'"((?:\\.|[^"\\\n])*)"', joined)]
    return texts


def unknown_names() -> list[str]:
    """Names like those of CALLS that it does not hold."""
    found = set()
    for path in ENGINE.rglob("*.cpp"):
        text = _without_comments(path.read_text())
        found |= set(re.findall(r"(?<![\w~])(refuse\w*)\(", text))
    return sorted(found - set(CALLS) - NO_REFUSALS)
