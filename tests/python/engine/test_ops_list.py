"""docs/ops.md says what the engine's op tables say, and has a word on every op of coremltools' registry."""

import importlib.util
import pathlib

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
