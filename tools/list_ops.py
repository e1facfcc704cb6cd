"""Writes docs/ops.md from the engine's op tables: `python tools/list_ops.py > docs/ops.md`.

The tables are read from the sources, so that nothing needs to be built; the dtypes are those of coremltools'
registry, and tests run every op in each of them.
"""

import pathlib
import re

from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

ENGINE = pathlib.Path(__file__).resolve().parent.parent / "bridge/engine/ops"

#: Ops of coremltools' registry that the engine refuses by name, and why.
REASONS = {
    "_const_symbolic": "Stands for shapes while coremltools builds a program; never written to a package.",
    "conv_quantized": "Superseded by `constexpr_*` weights and `conv`; no converter writes it.",
    "coreml_update_state": "Written to packages as `write_state` and `read_state`, which are there.",
}

#: Values of parameters that the engine refuses by name, and why.
REFUSED_VALUES = {
    "conv, conv_transpose: more than 16,384 groups": "A bound before anything is allocated: where MLX "
    "has no groups, each is a part of the graph.",
    "lstm, gru, rnn: the activation `scaled_tanh`": "No parameter gives its two factors, and no "
    "documentation says them.",
}

#: What MIL leaves open, and what the engine gives.
DECIDED = {
    "int32: sums, products and powers beyond the range": "They wrap around, as numpy's do.",
    "int32: floor_div, mod and real_div by 0, and 0 to a negative power": "0.",
    "cast: floats beyond an integer type's range": "Its ends, and 0 for NaN, as Apple silicon converts to "
    "int32; coremltools' value inference gives what numpy does on the machine, on x86 the lowest integer.",
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


def newest(op: str) -> type | None:
    """The newest version of an op in coremltools' registry; read_state and the like are in no registry."""
    versions = SSAOpRegistry.core_ops.get(op)
    return versions[max(versions)] if versions else None


def dtypes(op: str) -> str:
    """What the parameters that may have several dtypes take."""
    version = newest(op)
    domains = getattr(version, "type_domains", {}) if version else {}
    groups = []
    for group, domain in domains.items():
        kinds = version.input_spec.input_types.items()
        members = [name for name, kind in kinds if getattr(kind, "_type_domain_id", None) == group]
        groups.append((" ".join(members), " ".join(types.builtin_to_string(dtype) for dtype in domain)))
    if len({domain for _, domain in groups}) == 1:
        return groups[0][1]
    return "; ".join(f"{members}: {domain}" for members, domain in groups)


def document() -> str:
    """docs/ops.md."""
    families = {
        p.stem: entries(p.read_text()) for p in sorted(ENGINE.glob("*.cpp")) if "OpTable" in p.read_text()
    }
    families = {name: ops for name, ops in families.items() if ops}
    count = sum(len(ops) for ops in families.values())
    registry = set(SSAOpRegistry.core_ops)
    run = registry & {op for ops in families.values() for op in ops}
    lines = [
        "# Ops of the engine",
        "",
        "Written by `python tools/list_ops.py > docs/ops.md` from the op tables; do not edit. `?` may be",
        f"left out, `*` is a list. {count} ops of all opsets from iOS15 to iOS18: {len(run)} of the",
        f"{len(registry)} in coremltools' registry, and what packages hold beside them. The dtypes are those",
        "that the newest opset allows; `tests/python/engine/test_dtypes.py` runs all but `constexpr`,",
        "`random`, `recurrent`, `states` and control flow, which have tests of their own, in each of them.",
    ]
    for family, ops in families.items():
        lines += ["", f"## {family}", "", "| op | parameters | dtypes |", "|---|---|---|"]
        lines += [f"| `{name}` | {parameters or '–'} | {dtypes(name) or '–'} |"
                  for name, parameters in sorted(ops.items())]  # fmt: skip
    lines += [
        "",
        "## Refused",
        "",
        "A package with one of these is refused when it is loaded, by op and name.",
        "",
    ]
    lines += ["| op | why |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(REASONS.items())]
    lines += ["", "Of the ops above, these values:", "", "| op and value | why |", "|---|---|"]
    lines += [f"| {value} | {reason} |" for value, reason in sorted(REFUSED_VALUES.items())]
    lines += ["", "## Decided", "", "What MIL leaves open:", "", "| what | the engine gives |", "|---|---|"]
    lines += [f"| {what} | {result} |" for what, result in sorted(DECIDED.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")
