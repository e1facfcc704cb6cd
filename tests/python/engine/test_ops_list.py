"""docs/ops.md says what the engine's op tables say, and has a word on every op of coremltools' registry."""

import importlib.util
import pathlib

import pytest
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

ROOT = pathlib.Path(__file__).resolve().parents[3]


def listing():
    spec = importlib.util.spec_from_file_location("list_ops", ROOT / "tools/list_ops.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_document_is_current():
    assert (ROOT / "docs/ops.md").read_text() == listing().document(), (
        "run python tools/list_ops.py > docs/ops.md"
    )


def test_every_op_is_there_or_has_a_reason():
    module = listing()
    there = {
        op
        for p in module.ENGINE.glob("*.cpp")
        if "OpTable" in p.read_text()
        for op in module.entries(p.read_text())
    }
    assert set(SSAOpRegistry.core_ops) <= there | set(module.REASONS)
    assert not there & set(module.REASONS)


def parameters(module):
    """Op -> its parameters over all opsets, as the engine's tables have them."""
    sources = [path.read_text() for path in module.ENGINE.glob("*.cpp")]
    tables = [module.entries(text) for text in sources if "OpTable" in text]
    return {op: words for table in tables for op, words in table.items()}


@pytest.mark.parametrize("target", sorted({t for versions in SSAOpRegistry.core_ops.values() for t in versions},
                                          key=lambda target: target.value), ids=lambda target: target.name)  # fmt: skip
def test_every_parameter_of_every_opset_is_in_the_table(target):
    module = listing()
    table = parameters(module)
    for op, versions in SSAOpRegistry.core_ops.items():
        if op in module.REASONS or target not in versions:
            continue
        known = {word.strip("?*"): word.endswith("?") for word in table[op].split()}
        for name, kind in versions[target].input_spec.input_types.items():
            if name.startswith("_") or op == "const":  # blocks; a value of its own kind
                continue
            assert name in known, f"{op} of {target.name} has {name}"
            assert known[name] or not kind.optional, f"{op} may leave out {name}"
