"""The bar for the share of work on the Neural Engine, by the forecast and by Core ML's plan, on the command line."""

import json
import re
from pathlib import Path

import pytest

from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.neural_engine import ComputePlan, Requirement, hold_to
from tintype.run import BackendInfo


def test_plans_have_the_last_word() -> None:
    plan = ComputePlan("apple", "ane", "main", {"neural_engine": {"operations": 1, "cost": 0.9}}, ())
    bar = Requirement.of_reports(0.95, {}, {"denoiser": plan})
    assert bar.below == {"denoiser": 0.9}
    assert bar.complaint == (
        "on the Neural Engine (Core ML's compute plan): denoiser 90.0000 %, expected at least 95 %"
    )
    assert Requirement.of_reports(0.9, {}, {"denoiser": plan}).complaint == ""


def test_sums_of_costs_round() -> None:
    cost = sum([0.1] * 10)  # 0.9999999999999999
    plan = ComputePlan("apple", "ane", "main", {"neural_engine": {"operations": 10, "cost": cost}}, ())
    assert Requirement.of_reports(1.0, {}, {"denoiser": plan}).complaint == ""
    shares = {"rounded": 1 - 1e-7, "short": 1 - 2e-6}
    assert list(Requirement(1.0, "compute_plan", shares).below) == ["short"]
    assert list(Requirement(1.0, "forecast", shares).below) == list(shares)  # counted, not added up


def test_inspect_fails_below_the_bar(
    ane: Bundle,
    sd3_half: Bundle,
    small_package: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denoiser = ane.package_paths(names.DENOISER)[0]
    line = ["inspect", "--neural-engine", "--require"]
    assert run_command([*line, "100%", str(denoiser)]) == 0
    assert capsys.readouterr().err == ""
    assert run_command([*line, "95%", str(small_package)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Forecast by published rules")
    assert re.fullmatch(
        r"tintype: error: on the Neural Engine \(forecast\): small.mlpackage [\d.]+ %, expected at least 95 %\n",
        err,
    )
    assert run_command([*line, "100%", str(sd3_half.root), "--json"]) == 1
    out, err = capsys.readouterr()
    required = json.loads(out)["required"]
    assert (required["share"], required["of"], required["passed"]) == (1, "forecast", False)
    assert set(required["below"]) == set(sd3_half.components)
    assert required["shares"][names.DENOISER] < 0.2
    assert run_command([*line, "100%", str(ane.root), "--json"]) == 0
    required = json.loads(capsys.readouterr().out)["required"]
    assert (required["passed"], required["below"]) == (True, [])
    assert set(required["shares"].values()) == {1}
    monkeypatch.setattr(BackendInfo, "is_apples", True)  # the portable plan puts all on the CPU
    assert run_command([*line, "1%", str(denoiser)]) == 1
    assert "(Core ML's compute plan): denoiser.mlpackage 0.0000 %, expected" in capsys.readouterr().err


def test_convert_publishes_nothing_below_the_bar(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["convert", str(data / "sd3-medium-tiny"), "-o", str(tmp_path / "b"), "--quiet"]
    line += ["--components", "vae_decoder", "--require-neural-engine"]
    assert run_command([*line, "99.9%"]) == 1
    assert "--target ane, name fewer components, or lower the bar" in capsys.readouterr().err
    assert run_command([*line[:-1], "--profile", "apple-sd3", line[-1], "99.9%"]) == 1
    assert "vae_decoder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert run_command([*line, "99.9%", "--target", "ane"]) == 0
    assert hold_to(0.999, {"d": tmp_path / "b" / "vae_decoder.mlpackage"}).below == {}


@pytest.mark.parametrize("value", ["0.95", "95", "101%", "-1%", "nan%", "much%"])
def test_bars_that_cannot_be(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["inspect", "--neural-engine", f"--require={value}", "x"]) == 2
    assert f"'{value}' is no percentage from 0% to 100%, such as 95%" in capsys.readouterr().err


def test_a_bar_needs_something_to_hold(small_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["inspect", "--require", "95%", str(small_package)]) == 2
    assert "--require is a bar for --neural-engine" in capsys.readouterr().err
    line = ["convert", str(small_package), "-o", "b", "--require-neural-engine", "95%"]
    assert run_command([*line, "--dry-run"]) == 2
    assert "--require-neural-engine holds what was written" in capsys.readouterr().err
