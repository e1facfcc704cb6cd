"""The request: one list of fields behind `generate`, `steps` and the plan."""

import dataclasses

import pytest

from tintype.pipeline import GenerationRequest
from tintype.pipeline.request import RequestOptions, as_request


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
