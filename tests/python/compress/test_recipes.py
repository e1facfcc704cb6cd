"""What every component gets of a `--quantize`."""

import json
from pathlib import Path
from typing import Any

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
    assert chosen(None) == {}


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
        (
            "denoiser=auto",
            "gpu",
            "'denoiser=auto' has auto beside others, but it decides for every component",
        ),
        ("int8,auto", "gpu", "'int8,auto' has auto beside others"),
        ("int8,palette4", "gpu", "int8 and palette4 are both for all components"),
        ("denoiser=int4,denoiser=int8", "gpu", "int4 and int8 are both for denoiser: name one"),
        ("", "gpu", "'' names no recipe, choose among int8"),
        (" ,", "gpu", "' ,' names no recipe, choose among int8"),
        ("int4", "ane", "int4 for denoiser does not suit target ane"),
        ("text_encoder_3=int8", "gpu", "text_encoder_3 is not converted"),
    ],
)
def test_what_cannot_be(quantize: str, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(quantize, target, ("text_encoder", "modulation", "denoiser"))


def mixed(tmp_path: Path, value: Any) -> str:
    file = tmp_path / "mixed.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return f"mixed:{file}"


def test_the_first_glob_that_matches_decides(tmp_path: Path) -> None:
    globs = {"*.attn.*": "int8", "blocks.0.*": "none", "blocks.*": "palette4"}
    wanted = mixed(tmp_path, {"denoiser": globs, "modulation": {"*": "none"}})
    (selection,) = recipes_for(wanted, "ane", ALL).values()
    rows = {
        "blocks.0.attn.q": "int8",
        "blocks.1.attn.q": "int8",
        "blocks.0.mlp": None,
        "blocks.1.mlp": "palette4",
        "head": None,
    }
    assert {w: (r := selection.recipe(w)) and r.name for w in rows} == rows
    assert selection.name == "mixed"
    assert selection.idle(["head", "blocks.0.mlp"]) == ("*.attn.*",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "mixed.json is no JSON"),
        ([], "mixed.json is .., expected an object"),
        (
            '{"denoiser": {"*": "int8", "*": "none"}}',
            "mixed.json has '\\*' twice in one object: write it once",
        ),
        ('{"denoiser": {"*": "int8"}, "denoiser": {"b": "int8"}}', "mixed.json has 'denoiser' twice in one"),
        ({"denoiser": "int8"}, 'mixed.json: denoiser is "int8", expected an object'),
        ({"unet": {"*": "int8"}}, "'unet' is no component, choose among text_encoder"),
        ({"vae_decoder": {"*": "int8"}}, "vae_decoder is not converted: leave it out of .*mixed.json"),
        (
            {"denoiser": {"*": "int3"}},
            "denoiser, '\\*' in .*: 'int3' is no recipe, choose among int8, .* and none",
        ),
        ({"denoiser": {"*": 4}}, "4 is no recipe"),
        ({"denoiser": {"*": "int4"}}, "int4 for denoiser, '\\*' in .* does not suit target ane"),
    ],
)
def test_mixtures_that_cannot_be(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipes_for(mixed(tmp_path, value), "ane", ("modulation", "denoiser"))


def test_a_file_of_globs_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.json cannot be read .*: name a JSON file"):
        recipes_for(f"mixed:{tmp_path / 'nothing.json'}", "gpu", ALL)
