import pytest

from tintype.bench.measure import ROUNDS, Report, Row, compare, other_processes


def test_work_and_limit_run_in_turn_and_the_faster_of_repeats_counts() -> None:
    calls: list[str] = []

    def work() -> None:
        calls.append("work")

    def limit() -> None:
        calls.append("limit")

    row = compare("case", "peer", "GB/s", 0.0, (work, 1e9), (limit, 1e9), repeats=2)
    assert calls == ["work", "limit"] + ["work", "work", "limit", "limit"] * ROUNDS
    assert min(row.rate, row.limit, row.ratio) > 0
    assert row.passes


@pytest.mark.parametrize(("ratio", "verdict"), [(0.85, "yes"), (0.849, "NO")])
def test_the_report_says_whether_a_bar_is_met(ratio: float, verdict: str) -> None:
    report = Report([Row("linear", "sgemm", 85.0, 100.0, ratio, "GFLOP/s", 0.85)], "a note")
    assert report.text().splitlines()[2].endswith(f"| 0.85 | {verdict} |")
    assert report.text().endswith("a note")
    assert report.to_json()[0]["passes"] is (verdict == "yes")


def test_others_share_is_a_share_or_unknown() -> None:
    share = other_processes()()
    assert share is None or 0 <= share <= 1
