"""Every refusal of the engine and its whole text; and that no refusal of its sources is missing here."""

import re

import pytest

from . import ctypes_api
from .refusals import table_calls, table_networks, table_ops, table_packages
from .refusals.programs import refusal
from .refusals.sources import refusals, texts_of_cpp_tests, unknown_names
from .test_fork import REFUSED as FORKED
from .test_packages import CUT_SHORT
from .test_process_limits import REFUSED as LIMITED

OPS = table_ops.ROWS + table_networks.ROWS


def short(text: str) -> str:
    return re.sub(r"[^\w ]", "", text)[:60]


def case_id(part) -> str:
    """The text alone: a function's repr has an address, and workers must agree on every id."""
    return short(part) if isinstance(part, str) else part.__name__.strip("<>")


def same(got: str, text: str) -> None:
    """Equal, {n} standing for any number."""
    if not re.fullmatch(re.escape(text).replace(r"\{n\}", r"\d+"), got):
        assert got == text


@pytest.mark.parametrize("row", OPS, ids=lambda row: f"{row.op} {short(row.text)}")
def test_ops(row):
    same(row.provoke(), row.whole_text)


@pytest.mark.parametrize(("make", "text"), table_packages.CASES, ids=case_id)
def test_packages(make, text, tmp_path):
    got, path = table_packages.load(tmp_path, make)
    same(got, text.replace("{path}", str(path)))


def test_a_weight_that_does_not_fit_when_it_is_read(tmp_path):
    model = ctypes_api.Model(table_packages.EXPANDED(tmp_path))
    same(refusal(lambda: model.predict(table_packages.X)), table_packages.EXPANDED_TEXT)


@pytest.mark.parametrize(("provoke", "text"), table_calls.CASES, ids=case_id)
def test_calls(provoke, text, tmp_path):
    same(provoke(tmp_path), text)


#: Refusals that no package and no call reaches here, and why.
UNREACHED = {
    "format/parse_budget.cpp: the program is larger than memory": "a program of gigabytes",
    "ops/control_flow.cpp: the loop does not end": "after 16 million rounds: minutes",
    "support/error.cpp: MLX refused it: …": "what the engine checks for itself: test_own_words.py",
    "run/inputs.cpp: this device has no float64": "on a GPU",
}


def texts() -> list[str]:
    """What the tables, the tests of forks and of files, and the C++ tests hold."""
    tables = [row.whole_text for row in OPS] + [text for _, text in table_packages.CASES + table_calls.CASES]
    return [
        *tables,
        table_packages.EXPANDED_TEXT,
        FORKED,
        LIMITED,
        CUT_SHORT.format(16),
        *texts_of_cpp_tests(),
    ]


def test_every_refusal_is_in_a_table():
    """A new refusal needs a row: in refusals/table_ops.py or table_networks.py for an op's, in table_packages.py
    for a package's, in table_calls.py for a call's. Say what is wrong, what was got, what was expected, and the
    remedy where there is one. What nothing can reach is no refusal: throw std::logic_error there."""
    held = texts()
    missing = {
        each.key: each.line
        for each in refusals()
        if each.key not in UNREACHED and not any(each.pattern.search(text) for text in held)
    }
    assert missing == {}, test_every_refusal_is_in_a_table.__doc__
    assert unknown_names() == [], "give them a place in refusals/sources.py"


def test_nothing_is_excused_that_is_gone():
    assert set(UNREACHED) <= {each.key for each in refusals()}
