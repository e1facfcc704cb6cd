"""The request: one list of fields behind `generate`, `steps` and the plan."""

import dataclasses
import warnings

import pytest

from tintype.errors import UsageError
from tintype.pipeline import GenerationRequest
from tintype.pipeline.request import RequestOptions, as_request, request_of


def test_the_keywords_are_the_fields() -> None:
    fields = [field.name for field in dataclasses.fields(GenerationRequest)]
    assert fields == ["prompt", "negative_prompt", *RequestOptions.__annotations__]


def test_every_field_is_explained() -> None:
    text = GenerationRequest.__doc__ or ""
    for field in dataclasses.fields(GenerationRequest):
        assert f"\n    {field.name} " in text


def test_a_request_can_be_made_or_changed() -> None:
    made = as_request("a", None, {"steps": 3, "seed": 1})
    assert made == GenerationRequest("a", steps=3, seed=1)
    assert as_request(made, None, {}) == made
    assert as_request(made, "b", {"seed": 2}) == GenerationRequest("a", "b", steps=3, seed=2)


def test_a_request_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GenerationRequest("a").seed = 1  # type: ignore[misc]


def test_an_unknown_keyword_is_named() -> None:
    with pytest.raises(TypeError, match="'num_steps'"):
        as_request("a", None, {"num_steps": 3})  # type: ignore[typeddict-unknown-key]


SETTINGS = {
    "prompt": "a", "negative_prompt": "b", "steps": 3, "guidance_scale": 2.5, "seed": 9, "generator": "torch", "width": 64, "height": 32,
    "use_t5": False, "model": "m", "precision": "float16", "backends": {"vae": "mlx"},
}  # fmt: skip


def test_settings_make_their_request_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = request_of(SETTINGS)
    assert made == GenerationRequest(
        "a", "b", steps=3, guidance_scale=2.5, seed=9, generator="torch", size=(64, 32), use_t5=False
    )


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"strength": 0.5}, "began with another picture"),
        ({"image_index": 2}, "was number 3 of its run, and the first is drawn: ask for a count of 3"),
        ({"seed": None}, "was drawn from given noise"),
    ],
)
def test_what_cannot_be_made_again_is_said(extra: dict[str, object], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        request_of(SETTINGS | extra)


def test_foreign_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="the prompt None, expected a string"):
        request_of({"Steps": 20})


def test_the_picture_that_it_began_with_is_named_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = request_of(SETTINGS | {"strength": 0.5}, "start.png", "mask.png")
    assert (made.image, made.mask, made.strength) == ("start.png", "mask.png", 0.5)
