"""The demo model's little world: scenes, how they are painted and how they are put into words.

A picture is 128x128 and shows one or two flat coloured shapes on a plain background.  `sample_scene`
draws a scene, `render` paints it and `caption` words it in one of many ways.  Training, the checker,
the evaluation and `tintype bench --suite demo` all read the world from here, so they cannot drift apart.

Centres lie on a 4-pixel grid and radii come in steps: the model is tiny, and its capacity is worth
more in sharp edges than in sub-pixel placement.

Needs PIL only.  Coordinates are pixels, x to the right and y down.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

SIZE = 128
GRID = 4  # centres are multiples of this
SUPERSAMPLE = 4  # edges are painted at this scale and averaged down

Rgb = tuple[int, int, int]
Ink = Rgb | int  # a colour, or a gray level on a one-channel canvas
Pair = tuple[str, str]  # (colour, shape)

COLOURS: dict[str, Rgb] = {
    "red": (222, 38, 42),
    "orange": (246, 138, 24),
    "yellow": (250, 216, 44),
    "green": (38, 160, 70),
    "cyan": (36, 194, 204),
    "blue": (40, 88, 222),
    "purple": (132, 56, 182),
    "pink": (250, 126, 186),
    "brown": (124, 76, 40),
}
BACKGROUNDS: dict[str, Rgb] = {
    "white": (250, 250, 250),
    "black": (20, 20, 22),
    "gray": (152, 152, 156),
    "light blue": (190, 220, 246),
    "beige": (244, 232, 206),
    "navy": (24, 34, 92),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "diamond", "crescent", "hexagon")
PLURALS = {shape: shape + ("es" if shape == "cross" else "s") for shape in SHAPES}

# One colour of every shape is never shown in training: drawing it anyway is what "held out" measures.
HELD_OUT: frozenset[Pair] = frozenset(
    {
        ("red", "star"),
        ("orange", "heart"),
        ("yellow", "square"),
        ("green", "ring"),
        ("cyan", "triangle"),
        ("blue", "diamond"),
        ("purple", "circle"),
        ("pink", "cross"),
        ("brown", "crescent"),
        ("blue", "hexagon"),
    }
)

RELATIONS = ("above", "below", "left", "right")
OPPOSITE = {"above": "below", "below": "above", "left": "right", "right": "left"}
RELATION_WORDS = {
    "above": ("above", "above", "over", "on top of"),
    "below": ("below", "below", "under", "beneath"),
    "left": ("to the left of", "to the left of", "left of", "on the left of"),
    "right": ("to the right of", "to the right of", "right of", "on the right of"),
}

# kind of scene -> how often it is drawn
KINDS = {"one": 0.42, "relation": 0.46, "and": 0.06, "two": 0.06}
RADII_ALONE = {"small": (15, 17, 19), "medium": (28, 30, 32), "large": (42, 44, 46)}
RADII_PAIRED = {"small": (12, 14), "medium": (18, 20), "large": (24, 26)}
PLAY_ALONE = {"small": 16, "medium": 8, "large": 4}  # how far a lone centre strays from the middle


@dataclass(frozen=True)
class Thing:
    """One flat shape: `radius` is about half its height, (x, y) its centre."""

    colour: str
    shape: str
    size: str
    radius: float
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """A background with one or two things.

    `relation` is where the first lies, seen from the second; None where the caption does not say.
    """

    kind: str
    background: str
    things: tuple[Thing, ...]
    relation: str | None = None


def outline(shape: str) -> list[tuple[float, float]]:
    """The polygon of a straight-edged shape or a heart, in [-1, 1]."""
    if shape == "square":
        a = 0.86
        return [(-a, -a), (a, -a), (a, a), (-a, a)]
    if shape == "triangle":
        return [(0, -0.95), (1.0, 0.8), (-1.0, 0.8)]
    if shape == "diamond":
        return [(0, -1.08), (0.74, 0), (0, 1.08), (-0.74, 0)]
    if shape == "cross":
        w = 0.34
        quarter = [(-w, -1.0), (w, -1.0), (w, -w)]
        turns = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
        return [(a * x + b * y, c * x + d * y) for a, b, c, d in turns for x, y in quarter]
    if shape == "star":
        radii = (1.08, 0.46)
        angles = [(k, -math.pi / 2 + k * math.pi / 5) for k in range(10)]
        return [(radii[k % 2] * math.cos(t), radii[k % 2] * math.sin(t) + 0.06) for k, t in angles]
    if shape == "hexagon":
        return [(math.cos(k * math.pi / 3), math.sin(k * math.pi / 3)) for k in range(6)]
    if shape == "heart":
        return [_heart_point(2 * math.pi * k / 72) for k in range(72)]
    raise ValueError(f"shape {shape!r} has no outline")


def _heart_point(t: float) -> tuple[float, float]:
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return math.sin(t) ** 3, -y / 16 - 0.08


def draw_shape(
    draw: ImageDraw.ImageDraw, shape: str, x: float, y: float, radius: float, fill: Ink, ground: Ink
) -> None:
    """Paints one shape on a canvas `SUPERSAMPLE` times as large; `ground` fills holes."""
    k = SUPERSAMPLE

    def disc(cx: float, cy: float, r: float, colour: Ink) -> None:
        draw.ellipse([(cx - r) * k, (cy - r) * k, (cx + r) * k, (cy + r) * k], fill=colour)

    if shape in ("circle", "ring", "crescent"):
        disc(x, y, radius, fill)
        if shape == "ring":
            disc(x, y, radius * 0.55, ground)
        elif shape == "crescent":
            disc(x + 0.5 * radius, y - 0.12 * radius, radius * 0.82, ground)
    else:
        draw.polygon([((x + px * radius) * k, (y + py * radius) * k) for px, py in outline(shape)], fill=fill)


def render(scene: Scene) -> Image.Image:
    """The scene as a 128x128 RGB picture."""
    ground = BACKGROUNDS[scene.background]
    canvas = Image.new("RGB", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE), ground)
    draw = ImageDraw.Draw(canvas)
    for thing in scene.things:
        draw_shape(draw, thing.shape, thing.x, thing.y, thing.radius, COLOURS[thing.colour], ground)
    return canvas.reduce(SUPERSAMPLE)


def sample_scene(rng: random.Random, kind: str | None = None, held_out: bool = False) -> Scene:
    """Draws a scene of a kind of `KINDS` (None: any); without `held_out` no held-out pair occurs in it."""
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    background = "white" if rng.random() < 0.3 else rng.choice(list(BACKGROUNDS))
    first = _pick_pair(rng, held_out)
    if kind == "one":
        return place_one(rng, background, first)
    second = first
    while kind != "two" and second == first:
        second = _pick_pair(rng, held_out)
    relation = rng.choice(RELATIONS) if kind == "relation" else "left"
    return place_two(rng, kind, background, (first, second), relation)


def _pick_pair(rng: random.Random, held_out: bool) -> Pair:
    while True:
        pair = (rng.choice(list(COLOURS)), rng.choice(SHAPES))
        if held_out or pair not in HELD_OUT:
            return pair


def place_one(rng: random.Random, background: str, pair: Pair) -> Scene:
    """One thing near the middle."""
    size = rng.choices(["medium", "small", "large"], [0.6, 0.2, 0.2])[0]
    play = PLAY_ALONE[size]
    x, y = (_on_grid(SIZE / 2 + rng.uniform(-play, play)) for _ in range(2))
    thing = Thing(*pair, size, rng.choice(RADII_ALONE[size]), x, y)
    return Scene("one", background, (thing,))


def place_two(
    rng: random.Random, kind: str, background: str, pairs: tuple[Pair, Pair], relation: str
) -> Scene:
    """Two things about the middle, the first `relation` of the second."""
    sizes = [
        rng.choices(["medium", "small", "large"], [0.8, 0.1, 0.1])[0] if kind == "relation" else "medium"
        for _ in pairs
    ]
    radii = [rng.choice(RADII_PAIRED[size]) for size in sizes]
    half = (sum(radii) + rng.uniform(9, 12)) / 2
    shift, across = rng.uniform(-3, 3), SIZE / 2 + rng.uniform(-6, 6)
    sign = -1 if relation in ("left", "above") else 1
    things = []
    for (colour, shape), size, radius, side in zip(pairs, sizes, radii, (sign, -sign), strict=True):
        a = _on_grid(SIZE / 2 + shift + side * half)
        b = _on_grid(across + rng.uniform(-3, 3))
        x, y = (a, b) if relation in ("left", "right") else (b, a)
        things.append(Thing(colour, shape, size, radius, x, y))
    return Scene(kind, background, tuple(things), relation if kind == "relation" else None)


def _on_grid(value: float) -> float:
    return GRID * round(value / GRID)


def caption(scene: Scene, rng: random.Random) -> str:
    """One of the scene's many wordings; a white background is named only sometimes."""
    text = _name_things(scene, rng)
    if scene.background != "white" or rng.random() < 0.35:
        text += rng.choice([" on a {} background", " on a {} background", " on {}"]).format(scene.background)
    if rng.random() < 0.12:
        text = rng.choice(["a picture of ", "a drawing of ", "an image of "]) + text
    if rng.random() < 0.08:
        text += "."
    return text


def _name_things(scene: Scene, rng: random.Random) -> str:
    first = scene.things[0]
    if scene.kind == "one":
        words = _phrase(first, rng)
        return words.split(" ", 1)[1] if rng.random() < 0.1 else words
    if scene.kind == "two":
        return f"two {first.colour} {PLURALS[first.shape]}"
    second = scene.things[1]
    if scene.kind == "and":
        link = rng.choice(["and", "and", "next to", "beside"])
        return f"{_phrase(first, rng)} {link} {_phrase(second, rng)}"
    relation = scene.relation
    assert relation is not None  # what the kind means
    if rng.random() < 0.5:
        first, second, relation = second, first, OPPOSITE[relation]
    return f"{_phrase(first, rng)} {rng.choice(RELATION_WORDS[relation])} {_phrase(second, rng)}"


def _phrase(thing: Thing, rng: random.Random) -> str:
    sizes: dict[str, Sequence[str]] = {"medium": ("",), "small": ("small ",), "large": ("large ", "big ")}
    words = f"{rng.choice(sizes[thing.size])}{thing.colour} {thing.shape}"
    return ("an " if words[0] in "aeiou" else "a ") + words
