"""The smallest recipe of a component that keeps it close enough: each is written and measured."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import Bundle, Component
from ..compress import NONE, RECIPES, Selection, UnevenWeightError, candidates
from ..layers import MILProgram
from .components import Progress, write_component
from .plan import Plan

__all__ = ["Measure", "Measured", "smallest"]


class Measured(NamedTuple):
    """How well a component agrees with float32: PSNR in dB, cosine, and whether that is enough."""

    psnr: float
    cosine: float
    passes: bool


#: Called with the description of a bundle on disk that has this component; emit cannot run what it writes.
Measure = Callable[[Bundle, str], Measured]


def smallest(
    plan: Plan,
    name: str,
    programs: Sequence[MILProgram],
    stage: Path,
    describe: Callable[[Component], Bundle],
    measure: Measure,
    progress: Progress | None,
) -> Component:
    """Write the component `name` by the first recipe, the smallest first, that `measure` passes; in its own
    precision where none does. `describe` makes the bundle that `measure` is called with.

    What was tried is in the component's `compression`, under `auto`.
    """
    tried: list[dict[str, Any]] = []
    for recipe in (*candidates(plan.target, name), NONE):
        selection = None if recipe == NONE else Selection.all(RECIPES[recipe])
        # Compressing changes a program in place.
        built, programs = programs or plan.build(name), ()
        try:
            component = write_component(built, name, stage, selection, progress)
        except UnevenWeightError as error:
            tried.append({"recipe": recipe, "refused": str(error)})
            _remove(stage, name)
            continue
        if selection is not None and not component.compression["weights"]:
            _remove(stage, name)  # nothing that this recipe divides: the same as none
            continue
        got = measure(describe(component), name)
        tried.append({"recipe": recipe, "psnr": round(got.psnr, 2), "cosine": round(got.cosine, 6)})
        if got.passes or selection is None:
            row = component.compression or {"recipe": NONE, "weights": 0}
            return replace(component, compression={**row, "auto": tried})
        _remove(stage, name)
    raise AssertionError("the last candidate is taken as it is")


def _remove(stage: Path, name: str) -> None:
    """Remove the packages of a component."""
    for path in (stage / f"{name}.mlpackage", *stage.glob(f"{name}_chunk*.mlpackage")):
        shutil.rmtree(path, ignore_errors=True)
