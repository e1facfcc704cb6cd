"""What can be asked for with `--quantize`, and what every component gets of it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

from .. import names
from ..errors import UsageError
from ..values import decode_json

__all__ = ["NONE", "RECIPES", "Recipe", "Selection", "candidates", "recipes_for"]

#: What a weight that is left alone has in the place of a recipe.
NONE: Final = "none"

#: What `--quantize` begins with where a file says it weight by weight.
MIXED: Final = "mixed"


@dataclass(frozen=True)
class Recipe:
    """How a weight is stored.

    kind     "integers": codes times a scale; "palette": codes are places in a table
    bits     of a code
    block    integers: inputs that share a scale, None for all of a channel; palette: output channels that
             share a table
    """

    name: str
    kind: Literal["integers", "palette"]
    bits: int
    block: int | None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight (out, in, …) can be divided as the recipe wants it."""
        if self.kind == "palette":
            return self.block is not None and shape[0] % self.block == 0
        return self.block is None or shape[1] % self.block == 0


@dataclass(frozen=True)
class Selection:
    """Which weights of a component get which recipe: globs of weight names, of which the first that matches
    decides. None, and no match, leave a weight alone. `name` is a recipe's or "mixed"."""

    name: str
    rows: tuple[tuple[str, Recipe | None], ...]

    @classmethod
    def all(cls, recipe: Recipe) -> "Selection":
        """One recipe for every weight."""
        return cls(recipe.name, (("*", recipe),))

    def recipe(self, weight: str) -> Recipe | None:
        """What the weight of that name gets."""
        return next((recipe for glob, recipe in self.rows if fnmatchcase(weight, glob)), None)

    def idle(self, weights: Iterable[str]) -> tuple[str, ...]:
        """Globs that match none of `weights`."""
        found = tuple(weights)
        return tuple(glob for glob, _ in self.rows if not any(fnmatchcase(w, glob) for w in found))


RECIPES: Final[Mapping[str, Recipe]] = {
    "int8": Recipe("int8", "integers", 8, None),
    "int4": Recipe("int4", "integers", 4, 32),
    "palette4": Recipe("palette4", "palette", 4, 16),
    "palette6": Recipe("palette6", "palette", 6, 16),
    "palette8": Recipe("palette8", "palette", 8, 16),
}

#: What --quantize takes, as errors list it.
WAYS: Final = ", ".join((*RECIPES, names.AUTO, "mixed:FILE"))

#: What stands for a recipe of fewer bits where these would cost too much; both targets run it well.
EIGHT_BITS_RECIPE: Final = "int8"

#: Components that get 8 bits unless they are named: text loses its meaning, and errors in the modulation
#: multiply everything behind it.
EIGHT_BITS: Final = (
    names.TEXT_ENCODER, names.TEXT_ENCODER_2, names.TEXT_ENCODER_3, names.MODULATION,
)  # fmt: skip

#: Components that are left alone unless they are named: small, and every error shows in the picture.
LEFT_ALONE: Final = (names.VAE_DECODER, names.VAE_ENCODER)

#: Target → recipes that it does not run well.
UNSUITED: Final[Mapping[str, tuple[str, ...]]] = {"ane": ("int4",), "gpu": ()}


#: The smallest first, with their scales and tables.
BY_SIZE: Final = ("palette4", "int4", "palette6", "int8", "palette8")


def candidates(target: str, component: str) -> tuple[str, ...]:
    """Recipes that `--quantize auto` tries for a component, the smallest first."""
    if component in LEFT_ALONE:
        return ()
    return tuple(recipe for recipe in BY_SIZE if recipe not in UNSUITED.get(target, ()))


def recipes_for(quantize: str | None, target: str, components: Iterable[str]) -> dict[str, Selection]:
    """Component → what its weights get, for those of `components` that are compressed.

    `quantize` is a recipe, or COMPONENT=RECIPE, or several of them with commas between, or mixed:FILE, a JSON
    file {COMPONENT: {GLOB OF WEIGHT NAMES: RECIPE or "none"}}. UsageError names what is unknown or does not
    suit the target.
    """
    if (quantize or "").startswith(f"{MIXED}:"):
        return _mixed(Path(str(quantize).partition(":")[2]), target, tuple(components))
    general, named = _parse(quantize) if quantize is not None else (None, {})
    chosen = {}
    for component in components:
        recipe = named.get(component) or _by_policy(component, general, named)
        if recipe is None:
            continue
        _check_suits(recipe, target, component)
        chosen[component] = Selection.all(RECIPES[recipe])
    unused = [name for name in named if name not in chosen]
    if unused:
        raise UsageError(f"quantize: {', '.join(unused)} is not converted: leave it out of --quantize")
    return chosen


def _check_suits(recipe: str, target: str, what: str) -> None:
    if recipe in UNSUITED.get(target, ()):
        raise UsageError(
            f"quantize: {recipe} for {what} does not suit target {target}: blocks of integers are "
            "for the GPU, choose a palette or int8"
        )


def _check_component(component: str) -> None:
    if component not in names.COMPONENTS:
        raise UsageError(
            f"quantize: {component!r} is no component, choose among {', '.join(names.COMPONENTS)}"
        )


def _mixed(file: Path, target: str, components: tuple[str, ...]) -> dict[str, Selection]:
    """The selections that a file of globs describes."""
    chosen = {}
    for component, globs in _object(_json(file), str(file)).items():
        _check_component(component)
        if component not in components:
            raise UsageError(f"quantize: {component} is not converted: leave it out of {file}")
        rows = tuple(
            (glob, _mixed_recipe(recipe, target, f"{component}, {glob!r} in {file}"))
            for glob, recipe in _object(globs, f"{file}: {component}").items()
        )
        if any(recipe is not None for _, recipe in rows):
            chosen[component] = Selection(MIXED, rows)
    return chosen


def _mixed_recipe(recipe: Any, target: str, what: str) -> Recipe | None:
    if recipe == NONE:
        return None
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise UsageError(
            f"quantize: {what}: {recipe!r} is no recipe, choose among {', '.join(RECIPES)} and {NONE}"
        )
    _check_suits(recipe, target, what)
    return RECIPES[recipe]


def _json(file: Path) -> Any:
    repeated: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        value = decode_json(file.read_text(encoding="utf-8"), noted)
    except OSError as error:
        raise UsageError(f"quantize: {file} cannot be read ({error.strerror}): name a JSON file") from None
    except ValueError as error:
        raise UsageError(f"quantize: {file} is no JSON ({error}): correct it") from None
    if repeated:
        raise UsageError(f"quantize: {file} has {repeated[0]!r} twice in one object: write it once")
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise UsageError(
            f"quantize: {what} is {json.dumps(value)[:60]}, expected an object that is not empty: "
            'write {"denoiser": {"*.attn.*": "int8", "*": "palette4"}}'
        )
    return value


def _by_policy(component: str, general: str | None, named: Mapping[str, str]) -> str | None:
    if component in LEFT_ALONE:
        return None
    if component == names.MODULATION and general is None:
        general = named.get(names.DENOISER)
    if general is None:
        return None
    if component in EIGHT_BITS and RECIPES[general].bits < 8:
        return EIGHT_BITS_RECIPE
    return general


def _parse(text: str) -> tuple[str | None, dict[str, str]]:
    general: str | None = None
    named: dict[str, str] = {}
    parts = [p.strip() for p in text.split(",") if p.strip()]
    if not parts:
        raise UsageError(f"quantize: {text!r} names no recipe, choose among {WAYS}, or leave it out")
    for part in parts:
        component, sign, recipe = part.rpartition("=")
        component, recipe = component.strip(), recipe.strip()
        if recipe == names.AUTO:
            raise UsageError(
                f"quantize: {text!r} has {names.AUTO} beside others, but it decides for every component: "
                "name it alone, or a recipe for each"
            )
        if recipe not in RECIPES:
            raise UsageError(
                f"quantize: {recipe!r} is no recipe, choose among {', '.join(RECIPES) if sign else WAYS}"
            )
        if not sign and general is not None:
            raise UsageError(f"quantize: {general} and {recipe} are both for all components: name one")
        if sign:
            _check_component(component)
            if component in named:
                raise UsageError(
                    f"quantize: {named[component]} and {recipe} are both for {component}: name one"
                )
            named[component] = recipe
        else:
            general = recipe
    return general, named
