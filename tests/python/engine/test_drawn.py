"""Every op of the engine's table in random programs, against numpy or coremltools' value inference.

Deterministic and short by default; `--hypothesis-profile=long` draws anew and much more.
"""

import importlib.util
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import drawn_elementwise, drawn_images, drawn_lists, drawn_networks, drawn_shapes
from .drawn import Draw, check_drawn
from .drawn_graphs import graph

FAMILIES = (drawn_elementwise, drawn_images, drawn_lists, drawn_networks, drawn_shapes)
GENERATORS = {op: generator for family in FAMILIES for op, generator in family.GENERATORS.items()}

#: Ops that are not drawn here: the test file that holds them, and why.
ELSEWHERE = {
    "cond": ("test_networks.py", "needs blocks"),
    "while_loop": ("test_networks.py", "needs blocks"),
    "classify": ("test_classify.py", "one program says it all"),
    "const": ("drawn.py", "every drawn program has some"),
    "constexpr_affine_dequantize": ("test_packages.py", "weights only: what may vary is the packed data"),
    "constexpr_blockwise_shift_scale": ("test_packages.py", "as above"),
    "constexpr_cast": ("test_packages.py", "as above"),
    "constexpr_lut_to_dense": ("test_packages.py", "as above"),
    "constexpr_lut_to_sparse": ("test_packages.py", "as above"),
    "constexpr_sparse_blockwise_shift_scale": ("test_packages.py", "as above"),
    "constexpr_sparse_to_dense": ("test_packages.py", "as above"),
    "gru": ("test_recurrent.py", "a reference of its own"),
    "lstm": ("test_recurrent.py", "a reference of its own"),
    "rnn": ("test_recurrent.py", "a reference of its own"),
    "random_bernoulli": ("test_random.py", "tested by statistics"),
    "random_categorical": ("test_random.py", "tested by statistics"),
    "random_normal": ("test_random.py", "tested by statistics"),
    "read_state": ("test_states.py", "needs a state"),
    "write_state": ("test_states.py", "needs a state"),
    "random_uniform": ("test_random.py", "tested by statistics"),
}


@pytest.mark.parametrize("op", sorted(GENERATORS))
@given(data=st.data())
def test_op(op, data):
    check_drawn(Draw(data), GENERATORS[op])


@pytest.mark.parametrize("number", range(8))
@given(data=st.data())
def test_graph(number, data):
    check_drawn(Draw(data), graph)


def test_every_op_of_the_table_is_tested():
    """No silent gaps: an op is drawn, or the file that tests it names it."""
    root = pathlib.Path(__file__).resolve().parents[3]
    spec = importlib.util.spec_from_file_location("list_ops", root / "tools/list_ops.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    sources = [path.read_text() for path in tool.ENGINE.glob("*.cpp")]
    table = {op for text in sources if "OpTable" in text for op in tool.entries(text)}
    assert sorted(table - set(GENERATORS) - set(ELSEWHERE)) == []
    assert sorted((set(GENERATORS) | set(ELSEWHERE)) - table) == []
    for op, (file, _) in ELSEWHERE.items():
        text = pathlib.Path(__file__).with_name(file).read_text()
        assert f"mb.{op}(" in text or f'"{op}"' in text, f"{file} does not test {op}"
