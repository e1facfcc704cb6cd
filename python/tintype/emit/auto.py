"""`--quantize auto`: the smallest recipe of every component that keeps it, and the picture, close enough.

Each candidate is written and measured by itself, then all of them together, since errors add up in the
picture. Where that falls below the bar, the component whose error alone shows most in the picture gets its
next recipe, until the whole passes or nothing is compressed any more.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..bundle import Bundle, Component
from ..compress import NONE, RECIPES, Selection, UnevenWeightError, candidates
from ..layers import MILProgram, Target
from .components import Progress, prepare_program, write_component

__all__ = ["Auto", "Measure", "Measured"]


class Measured(NamedTuple):
    """How well something agrees with float32: PSNR in dB, cosine, and whether that is enough."""

    psnr: float
    cosine: float
    passes: bool

    def to_json(self) -> dict[str, float]:
        """Rounded for bundle.json."""
        return {"psnr": round(self.psnr, 2), "cosine": round(self.cosine, 6)}


class Measure(Protocol):
    """What judges: emit cannot run what it writes."""

    def __call__(self, bundle: Bundle, name: str) -> Measured:
        """The component `name` of a bundle on disk that may lack others, on real inputs."""

    def picture(self, bundle: Bundle, components: Sequence[str]) -> Measured:
        """The picture that `components` of the bundle draw, with float32 ones for all others."""


@dataclass(frozen=True)
class Auto:
    """The choice of recipes. `describe` makes the bundle that `measure` is called with, `build` a component's
    programs again; `stems` are the packages' names where they are not the components'.

    What was tried is in the components' `compression`, under `auto`: the last is what they have, and one with
    `picture` passed by itself and was given up for what the picture reached with it.
    """

    target: Target
    build: Callable[[str], Sequence[MILProgram]]
    stage: Path
    describe: Callable[[Mapping[str, Component]], Bundle]
    measure: Measure
    progress: Progress | None
    stems: Mapping[str, str] = field(default_factory=dict)

    def smallest(self, name: str, programs: Sequence[MILProgram]) -> Component:
        """Write the component `name` by the first recipe, the smallest first, that is close enough; in its
        own precision where none is."""
        return self._first(name, (*candidates(self.target, name), NONE), [], programs)

    def back_off(self, components: Mapping[str, Component], keep: Callable[[str, Component], object]) -> None:
        """Give components larger recipes until the picture is close enough; `keep` hears of each."""
        now, alone = dict(components), dict[str, float]()
        while not (got := self.measure.picture(self.describe(now), tuple(now))).passes:
            compressed = [name for name, component in now.items() if _recipe(component) != NONE]
            if not compressed:
                return  # float16 itself: the gate has the last word
            for name in compressed if len(compressed) > 1 else ():
                if name not in alone:
                    alone[name] = self.measure.picture(self.describe(now), (name,)).psnr
            worst = min(compressed, key=lambda name: alone.get(name, 0.0))
            now[worst] = self._next(worst, now[worst], got)
            alone.pop(worst, None)
            keep(worst, now[worst])

    def _next(self, name: str, component: Component, picture: Measured) -> Component:
        """The component by the next recipe after its own that is close enough."""
        *before, last = component.compression["auto"]
        order = (*candidates(self.target, name), NONE)
        self._remove(name)
        tried = [*before, {**last, "picture": picture.to_json()}]
        return self._first(name, order[order.index(_recipe(component)) + 1 :], tried, ())

    def _first(
        self, name: str, recipes: Sequence[str], tried: list[dict[str, Any]], programs: Sequence[MILProgram]
    ) -> Component:
        for recipe in recipes:
            selection = None if recipe == NONE else Selection.all(RECIPES[recipe])
            # What is prepared is used up.
            built, programs = programs or self.build(name), ()
            prepared = [prepare_program(program, selection) for program in built]
            try:
                component = write_component(
                    prepared, name, self.stage, selection, self.progress, self.stems.get(name)
                )
            except UnevenWeightError as error:
                tried.append({"recipe": recipe, "refused": str(error)})
                self._remove(name)
                continue
            if selection is not None and not component.compression["weights"]:
                self._remove(name)  # nothing that this recipe divides: the same as none
                continue
            got = self.measure(self.describe({name: component}), name)
            tried.append({"recipe": recipe, **got.to_json()})
            if got.passes or selection is None:
                row = component.compression or {"recipe": NONE, "weights": 0}
                return replace(component, compression={**row, "auto": tried})
            self._remove(name)
        raise AssertionError("the last candidate is taken as it is")

    def _remove(self, name: str) -> None:
        """Remove the packages of a component."""
        stem = self.stems.get(name, name)
        for path in (self.stage / f"{stem}.mlpackage", *self.stage.glob(f"{stem}_chunk*.mlpackage")):
            shutil.rmtree(path, ignore_errors=True)


def _recipe(component: Component) -> str:
    return str(component.compression.get("recipe", NONE))
