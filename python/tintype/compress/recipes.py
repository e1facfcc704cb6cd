"""What can be asked for with `--quantize`, and what every component gets of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .. import names
from ..errors import UsageError

__all__ = ["RECIPES", "Recipe", "recipes_for"]


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


RECIPES: Final[Mapping[str, Recipe]] = {
    "int8": Recipe("int8", "integers", 8, None),
    "int4": Recipe("int4", "integers", 4, 32),
    "palette4": Recipe("palette4", "palette", 4, 16),
    "palette6": Recipe("palette6", "palette", 6, 16),
    "palette8": Recipe("palette8", "palette", 8, 16),
}

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


def recipes_for(quantize: str | None, target: str, components: Iterable[str]) -> dict[str, Recipe]:
    """Component → recipe, for those of `components` that are compressed.

    `quantize` is a recipe, or COMPONENT=RECIPE, or several of them with commas between. UsageError names what
    is unknown or does not suit the target.
    """
    general, named = _parse(quantize or "")
    chosen = {}
    for component in components:
        recipe = named.get(component) or _by_policy(component, general, named)
        if recipe is None:
            continue
        if recipe in UNSUITED.get(target, ()):
            raise UsageError(
                f"quantize: {recipe} for {component} does not suit target {target}: blocks of integers are "
                "for the GPU, choose a palette or int8"
            )
        chosen[component] = RECIPES[recipe]
    unused = [name for name in named if name not in chosen]
    if unused:
        raise UsageError(f"quantize: {', '.join(unused)} is not converted: leave it out of --quantize")
    return chosen


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
    for part in (p.strip() for p in text.split(",") if p.strip()):
        component, sign, recipe = part.rpartition("=")
        component, recipe = component.strip(), recipe.strip()
        if recipe not in RECIPES:
            raise UsageError(f"quantize: {recipe!r} is no recipe, choose among {', '.join(RECIPES)}")
        if not sign and general is not None:
            raise UsageError(f"quantize: {general} and {recipe} are both for all components: name one")
        if sign and component not in names.COMPONENTS:
            raise UsageError(
                f"quantize: {component!r} is no component, choose among {', '.join(names.COMPONENTS)}"
            )
        if sign:
            named[component] = recipe
        else:
            general = recipe
    return general, named
