"""Every op of the engine's table in random programs, against numpy or coremltools' value inference.

Deterministic and short by default; `--hypothesis-profile=long` draws anew and much more.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import drawn_elementwise, drawn_shapes
from .drawn import Draw, check_drawn

GENERATORS = {**drawn_elementwise.GENERATORS, **drawn_shapes.GENERATORS}


@pytest.mark.parametrize("op", sorted(GENERATORS))
@given(data=st.data())
def test_op(op, data):
    check_drawn(Draw(data), GENERATORS[op])
