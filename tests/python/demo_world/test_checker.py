"""The checker must be right on rendered ground truth, and must notice what is wrong."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from PIL import Image, ImageFilter

from tintype.demo_world import Scene, Thing, add_verdict, evaluate, judge, prompts, render, sample_scene
from tintype.demo_world.world import BACKGROUNDS, COLOURS, HELD_OUT, SHAPES

ONE = Scene("one", "white", (Thing("red", "star", "medium", 30, 64, 64),))
TWO = Scene(
    "relation",
    "navy",
    (Thing("red", "circle", "medium", 20, 64, 36), Thing("cyan", "square", "medium", 18, 64, 88)),
    "above",
)


def change(scene: Scene, index: int = 0, **values: object) -> Scene:
    things = list(scene.things)
    things[index] = dataclasses.replace(things[index], **values)
    return dataclasses.replace(scene, things=tuple(things))


def wrong(picture: Image.Image, scene: Scene) -> set[str]:
    return {aspect for aspect, score in judge(picture, scene).items() if score.right < score.asked}


def test_at_least_99_percent_right_on_rendered_scenes() -> None:
    rng = random.Random(1)
    table: dict = {}
    for _ in range(300):
        scene = sample_scene(rng, held_out=True)
        add_verdict(table, "all scenes", judge(render(scene), scene))
    for aspect, score in table["all scenes"].items():
        assert score.percent >= 99, f"{aspect}: {score.right} of {score.asked} right"


def deformed(picture: Image.Image, thing: Thing, rng: random.Random) -> Image.Image:
    """Stretched by up to 8 % a side, turned by up to 4 degrees, and blurred: what a model's edges look like."""
    width, height = 1 + rng.uniform(-0.08, 0.08), 1 + rng.uniform(-0.08, 0.08)
    angle = rng.uniform(-0.07, 0.07)
    a, b = width * math.cos(angle), -height * math.sin(angle)
    c, d = width * math.sin(angle), height * math.cos(angle)
    matrix = (a, b, thing.x - a * thing.x - b * thing.y, c, d, thing.y - c * thing.x - d * thing.y)
    ground = picture.getpixel((0, 0))
    moved = picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=ground
    )
    return moved.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))


def test_at_least_99_percent_right_on_deformed_scenes() -> None:
    rng = random.Random(5)
    table: dict = {}
    for _ in range(200):
        scene = sample_scene(rng, "one", held_out=True)
        picture = deformed(render(scene), scene.things[0], rng)
        add_verdict(table, "one", judge(picture, scene))
    assert table["one"]["all"].percent >= 99


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_colour(shape: str) -> None:
    for index, colour in enumerate(COLOURS):
        background = list(BACKGROUNDS)[index % len(BACKGROUNDS)]
        scene = Scene("one", background, (Thing(colour, shape, "medium", 28 + index % 5, 64, 60),))
        assert wrong(render(scene), scene) == set()


@pytest.mark.parametrize(
    ("asked", "drawn", "expected"),
    [
        (ONE, change(ONE, colour="pink"), {"colour", "all"}),
        (ONE, change(ONE, shape="hexagon"), {"shape", "all"}),
        (ONE, dataclasses.replace(ONE, background="beige"), {"background", "all"}),
        (ONE, TWO, {"shape", "background", "count", "all"}),
        (TWO, change(TWO, 1, colour="green"), {"colour", "all"}),
        (dataclasses.replace(TWO, relation="left"), TWO, {"relation", "all"}),
        (dataclasses.replace(TWO, things=TWO.things[::-1]), TWO, {"relation", "all"}),
    ],
)
def test_notices_what_is_wrong(asked: Scene, drawn: Scene, expected: set[str]) -> None:
    assert wrong(render(drawn), asked) == expected


def test_an_empty_picture_is_all_wrong() -> None:
    picture = Image.new("RGB", (128, 128), BACKGROUNDS["white"])
    assert wrong(picture, ONE) == {"colour", "shape", "count", "all"}


def test_touching_objects_are_parted_by_colour() -> None:
    scene = change(TWO, 1, y=72)
    assert wrong(render(scene), scene) == set()


def test_larger_pictures_are_read_too() -> None:
    assert wrong(render(TWO).resize((512, 512)), TWO) == set()


def test_training_scenes_hold_no_held_out_pair() -> None:
    rng = random.Random(2)
    drawn = {(thing.colour, thing.shape) for _ in range(400) for thing in sample_scene(rng).things}
    assert drawn.isdisjoint(HELD_OUT)


def test_evaluation_prompts_are_deterministic_and_split_by_row() -> None:
    first, second = list(prompts(200)), list(prompts(200))
    assert first == second
    assert len(first) == 200
    for prompt in first:
        pairs = {(thing.colour, thing.shape) for thing in prompt.scene.things}
        assert bool(pairs & HELD_OUT) == ("held" in prompt.row)


def test_evaluation_of_rendered_scenes_is_perfect() -> None:
    scenes = {(prompt.text, prompt.seed): prompt.scene for prompt in prompts(40)}
    table = evaluate(lambda text, seed: render(scenes[text, seed]), count=40)
    assert [totals["all"].percent for totals in table.values()] == [100.0] * 4
