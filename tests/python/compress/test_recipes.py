"""What every component gets of a `--quantize`."""

import pytest

from tintype import names
from tintype.compress import RECIPES, recipes_for
from tintype.errors import UsageError

ALL = names.COMPONENTS


def chosen(quantize: str | None, target: str = "gpu", components: tuple[str, ...] = ALL) -> dict[str, str]:
    return {component: recipe.name for component, recipe in recipes_for(quantize, target, components).items()}


def test_names_has_every_recipe() -> None:
    assert tuple(RECIPES) == names.QUANTIZE_RECIPES


def test_nothing_asked() -> None:
    assert chosen(None) == chosen("") == {}


@pytest.mark.parametrize(
    ("recipe", "eight"),
    [
        ("int8", "int8"),
        ("int4", "int8"),
        ("palette4", "int8"),
        ("palette6", "int8"),
        ("palette8", "palette8"),
    ],
)
def test_text_and_modulation_keep_eight_bits(recipe: str, eight: str) -> None:
    assert chosen(recipe) == {
        "text_encoder": eight,
        "text_encoder_2": eight,
        "text_encoder_3": eight,
        "modulation": eight,
        "denoiser": recipe,
    }


def test_a_named_component_gets_what_it_is_named_for() -> None:
    assert chosen("denoiser=palette4, text_encoder_3=palette6") == {
        "text_encoder_3": "palette6",
        "modulation": "int8",
        "denoiser": "palette4",
    }
    assert chosen("int8,vae_decoder=int8,modulation=int4")["vae_decoder"] == "int8"
    assert chosen("int8,modulation=int4")["modulation"] == "int4"


@pytest.mark.parametrize(
    ("quantize", "target", "message"),
    [
        ("int3", "gpu", "'int3' is no recipe, choose among int8, int4"),
        ("unet=int8", "gpu", "'unet' is no component, choose among text_encoder"),
        ("int8,palette4", "gpu", "int8 and palette4 are both for all components"),
        ("int4", "ane", "int4 for denoiser does not suit target ane"),
        ("text_encoder_3=int8", "gpu", "text_encoder_3 is not converted"),
    ],
)
def test_what_cannot_be(quantize: str, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(quantize, target, ("text_encoder", "modulation", "denoiser"))
