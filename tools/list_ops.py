"""Writes docs/ops.md from the engine's op tables: `python tools/list_ops.py > docs/ops.md`.

The tables are read from the sources, so that nothing needs to be built. A test compares both lists with
coremltools' registry.
"""

import pathlib
import re

ENGINE = pathlib.Path(__file__).resolve().parent.parent / "bridge/engine/ops"

#: Ops of coremltools' registry that the engine refuses by name, and why.
REASONS = {
    "_const_symbolic": "Stands for shapes while coremltools builds a program; never written to a package.",
    "classify": "Yields a dictionary, which the C ABI does not carry; return the probabilities.",
    "conv_quantized": "Superseded by `constexpr_*` weights and `conv`; no converter writes it.",
    "coreml_update_state": "Written to packages as `write_state` and `read_state`, which are there.",
}


def entries(source: str) -> dict[str, str]:
    """Op → parameters, from one table."""
    table = source[source.rindex("OpTable ") :]
    lines = re.split(r"\n(?=\s+\{\")", table)
    found = {}
    for line in lines[1:]:
        name = re.match(r'\s+\{"(\w+)"', line)
        texts = re.findall(r'"([^"]*)"', line)
        if name:
            found[name[1]] = "".join(texts[1:]).strip()
    return found


def document() -> str:
    """docs/ops.md."""
    families = {
        p.stem: entries(p.read_text()) for p in sorted(ENGINE.glob("*.cpp")) if "OpTable" in p.read_text()
    }
    families = {name: ops for name, ops in families.items() if ops}
    count = sum(len(ops) for ops in families.values())
    lines = [
        "# Ops of the engine",
        "",
        "Written by `python tools/list_ops.py > docs/ops.md` from the op tables; do not edit. `?` may be",
        f"left out, `*` is a list. {count} ops of all opsets from iOS15 to iOS18:",
    ]
    for family, ops in families.items():
        lines += ["", f"## {family}", "", "| op | parameters |", "|---|---|"]
        lines += [f"| `{name}` | {parameters or '–'} |" for name, parameters in sorted(ops.items())]
    lines += [
        "",
        "## Refused",
        "",
        "A package with one of these is refused when it is loaded, by op and name.",
        "",
    ]
    lines += ["| op | why |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(REASONS.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")
