"""Sigmas and timesteps against diffusers' (tests/data/schedules.json), and the arithmetic of a step."""

import json
import pathlib

import numpy as np
import pytest

from tintype.pipeline.schedule import (
    dynamic_shift,
    euler_step,
    flow_match_schedule,
    guide,
    linear_schedule,
)


def rows(data: pathlib.Path, kind: str) -> list[dict]:
    found = [row for row in json.loads((data / "schedules.json").read_text()) if row["kind"] == kind]
    assert found
    return found


def agree(schedule, row: dict) -> None:
    assert schedule.steps == row["steps"]
    assert schedule.sigmas.dtype == schedule.timesteps.dtype == np.float32
    assert np.abs(schedule.sigmas - np.asarray(row["sigmas"])).max() <= 1e-6
    assert np.abs(schedule.timesteps / 1000 - np.asarray(row["timesteps"]) / 1000).max() <= 1e-6


def test_stable_diffusion_3_to_the_bit(data: pathlib.Path) -> None:
    for row in rows(data, "sd3"):
        schedule = flow_match_schedule(row["steps"], row["shift"])
        agree(schedule, row)
        assert schedule.sigmas.tolist() == row["sigmas"]
        assert schedule.timesteps.tolist() == row["timesteps"]


def test_flux(data: pathlib.Path) -> None:
    for row in rows(data, "flux-dynamic"):
        mu = dynamic_shift(row["image_tokens"])
        assert mu == pytest.approx(row["mu"])
        agree(linear_schedule(row["steps"], mu=mu), row)
    for row in rows(data, "flux-static"):
        agree(linear_schedule(row["steps"]), row)


def test_guidance_and_step_stay_in_float32() -> None:
    negative, positive = np.asarray([1, 2], np.float32), np.asarray([3, 1], np.float32)
    guided = guide(negative, positive, 5.0)
    assert guided.dtype == np.float32
    np.testing.assert_array_equal(guided, [11, -3])
    stepped = euler_step(negative, positive, np.float32(0.75), np.float32(0.5))
    assert stepped.dtype == np.float32
    np.testing.assert_array_equal(stepped, [0.25, 1.75])
