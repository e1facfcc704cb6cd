"""Core ML's compute plan through the Swift runtime; on Linux that of the portable Core ML."""

from pathlib import Path

import pytest

from tintype.errors import ModelFileError, UnsupportedModelError, UsageError
from tintype.names import COREML, MLX
from tintype.neural_engine import ComputePlan, compute_plan
from tintype.run.runtimes import INSTALLED

PACKAGES = Path(__file__).resolve().parents[2] / "data/packages"


@pytest.fixture(autouse=True)
def core_ml() -> None:
    info = INSTALLED.info(COREML)
    if not info.available:
        pytest.skip(info.reason)


def test_every_op_is_in_it() -> None:
    plan = compute_plan(PACKAGES / "multi_output.mlpackage", "cpu")
    assert plan.implementation == INSTALLED.info(COREML).details["implementation"]
    assert (plan.units, plan.function) == ("cpu", "main")
    assert set(plan.devices) == {"cpu"}
    assert plan.devices["cpu"]["operations"] > 0
    assert plan.share("cpu") == 1
    assert plan.share() == 0
    assert plan.to_json()["devices"] == {"cpu": dict(plan.devices["cpu"])}


def test_shares_are_of_the_cost_where_there_is_one() -> None:
    devices = {"neural_engine": {"operations": 9, "cost": 0.25}, "cpu": {"operations": 1, "cost": 0.75}}
    assert ComputePlan("apple", "ane", "main", devices, ()).share() == 0.25
    without = {name: {"operations": row["operations"]} for name, row in devices.items()}
    assert ComputePlan("apple", "ane", "main", without, ()).share() == 0.9
    assert ComputePlan("apple", "ane", "main", {}, ()).share() == 0


def test_refusals() -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        compute_plan(PACKAGES / "absent.mlpackage")
    with pytest.raises(UsageError, match="units is 'npu'"):
        compute_plan(PACKAGES / "add.mlpackage", "npu")
    with pytest.raises(UnsupportedModelError):
        INSTALLED.open(MLX).compute_plan(PACKAGES / "add.mlpackage")
