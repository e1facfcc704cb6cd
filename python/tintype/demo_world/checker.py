"""Reads a picture of the demo world back, analytically, and judges it against its scene.

Nothing here is learned.  The background is the median colour of the border.  Foreground pixels lie
nearer to a palette colour than to the background; connected ones form an object (two touching objects
are parted by colour).  An object's colour is the nearest palette entry to the median of its inside, its
shape the rendered template with the largest intersection over union once area and
centroid are the same, and a relation is read from the centroids.

    picture → mask → components → (colour, shape, centroid) → best match with the scene → Verdict

Needs numpy and PIL only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .world import BACKGROUNDS, COLOURS, SHAPES, SIZE, SUPERSAMPLE, Scene, Thing, draw_shape

MIN_AREA = 70  # pixels: smaller specks are not objects
MIN_IOU = 0.7  # a shape must overlap its template this well to count as right
MAX_COLOUR_ERROR = 75.0  # Euclidean RGB distance
MAX_BACKGROUND_ERROR = 45.0
MIN_CONTRAST = 40.0  # what lies nearer to the background is background
SECOND_COLOUR = 0.25  # share of an object's inside from which it is taken for two that touch
TEMPLATE_SIZE = 64
TEMPLATE_SPAN = 2.6  # sides of the square of a shape's own area
TEMPLATE_RADII = (13, 20, 30, 44)

ASPECTS = ("colour", "shape", "background", "count", "relation", "all")


@dataclass(frozen=True)
class Found:
    """One object seen in a picture."""

    colour: str
    colour_error: float
    shape: str
    iou: float
    x: float
    y: float
    area: int


@dataclass(frozen=True)
class Reading:
    """All that the checker sees in a picture; objects from the largest to the smallest."""

    background: str
    background_error: float
    objects: tuple[Found, ...]


@dataclass(frozen=True)
class Score:
    """`right` answers out of `asked`."""

    right: int
    asked: int

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.asked + other.asked)

    @property
    def percent(self) -> float:
        return 100 * self.right / self.asked if self.asked else float("nan")


Verdict = dict[str, Score]  # one Score an aspect; "relation" only where one is asked


def judge(picture: Image.Image, scene: Scene) -> Verdict:
    """Scores a picture against the scene that its prompt describes."""
    reading = read(picture)
    matches = [_match(chosen, scene) for chosen in _assignments(reading.objects, len(scene.things))]
    colour, shape, relation = max(matches)[-3:]
    wanted = len(scene.things)
    background = reading.background == scene.background and reading.background_error < MAX_BACKGROUND_ERROR
    verdict = {
        "colour": Score(colour, wanted),
        "shape": Score(shape, wanted),
        "background": Score(int(background), 1),
        "count": Score(int(len(reading.objects) == wanted), 1),
    }
    if scene.relation:
        verdict["relation"] = Score(relation, 1)
    verdict["all"] = Score(int(all(s.right == s.asked for s in verdict.values())), 1)
    return verdict


def _assignments(objects: tuple[Found, ...], wanted: int) -> Iterable[tuple[Found | None, ...]]:
    """Every way to give each wanted thing another object, or none."""
    return set(itertools.permutations((*objects, *[None] * wanted), wanted))


def _match(chosen: tuple[Found | None, ...], scene: Scene) -> tuple[int, ...]:
    """How well one assignment fits, most telling first; ends in right colours, shapes, relations."""
    colour = shape = both = 0
    for found, thing in zip(chosen, scene.things, strict=True):
        if found is None:
            continue
        same_colour, same_shape = found.colour == thing.colour, found.shape == thing.shape
        colour += same_colour and found.colour_error < MAX_COLOUR_ERROR
        shape += same_shape and found.iou >= MIN_IOU
        both += same_colour and same_shape
    present = [found for found in chosen if found is not None]
    related = len(present) == 2 and relation_of(present[0], present[1]) == scene.relation
    area = sum(found.area for found in present)
    return both, colour + shape, int(related), area, colour, shape, int(related)


def relation_of(first: Found | Thing, second: Found | Thing) -> str:
    """Where the first object lies, seen from the second."""
    dx, dy = first.x - second.x, first.y - second.y
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def read(picture: Image.Image) -> Reading:
    """Background and objects of a picture; other sizes than 128x128 are resampled first."""
    picture = picture.convert("RGB")
    if picture.size != (SIZE, SIZE):
        picture = picture.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = np.asarray(picture).astype(np.float32)  # (y, x, rgb)
    edges = (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:])
    ground = np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0)
    background, background_error = _nearest_ground(ground)

    to_palette = np.stack([_distance(pixels, rgb) for rgb in COLOURS.values()])
    nearest = to_palette.argmin(axis=0)
    to_ground = _distance(pixels, ground)
    mask = (to_ground > to_palette.min(axis=0)) & (to_ground > MIN_CONTRAST)
    found = [
        _describe(part, pixels)
        for component in components(mask)
        if component.sum() >= MIN_AREA
        for part in _split_by_colour(component, nearest)
    ]
    found.sort(key=lambda f: -f.area)
    return Reading(background, background_error, tuple(found))


def _distance(pixels: np.ndarray, rgb: np.ndarray | tuple[int, int, int]) -> np.ndarray:
    difference = pixels - np.asarray(rgb, np.float32)
    distance: np.ndarray = np.sqrt(np.einsum("yxc,yxc->yx", difference, difference))
    return distance


def _nearest_ground(ground: np.ndarray) -> tuple[str, float]:
    # A border in an object's colour is no background at all, so the palette competes.
    names: Mapping[str, tuple[int, int, int]] = {**{"#" + k: v for k, v in COLOURS.items()}, **BACKGROUNDS}
    return _nearest(ground, names)


def _nearest(rgb: np.ndarray, table: Mapping[str, tuple[int, int, int]]) -> tuple[str, float]:
    errors = {name: float(np.linalg.norm(rgb - np.array(entry))) for name, entry in table.items()}
    name = min(errors, key=errors.__getitem__)
    return name, errors[name]


def _split_by_colour(component: np.ndarray, nearest: np.ndarray) -> list[np.ndarray]:
    inside = _inside(component)
    share = np.bincount(nearest[inside], minlength=len(COLOURS)) / inside.sum()
    top = share.argsort()[::-1][:2]
    if share[top[1]] <= SECOND_COLOUR:
        return [component]
    largest = [components(component & (nearest == colour))[0] for colour in top]
    return [part for part in largest if part.sum() >= MIN_AREA]


def _describe(mask: np.ndarray, pixels: np.ndarray) -> Found:
    colour, colour_error = _nearest(np.median(pixels[_inside(mask)], axis=0), COLOURS)
    shape, iou = classify_shape(mask)
    ys, xs = np.nonzero(mask)
    return Found(colour, colour_error, shape, iou, float(xs.mean()), float(ys.mean()), int(mask.sum()))


def _inside(mask: np.ndarray) -> np.ndarray:
    """The mask without its softened edge, as far as it is large enough to lose one."""
    once = _erode(mask)
    twice = _erode(once)
    for smaller in (twice, once):
        if smaller.sum() >= 20:
            return smaller
    return mask


def _erode(mask: np.ndarray) -> np.ndarray:
    p = np.pad(mask, 1)
    inner: np.ndarray = mask & p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]
    return inner


def components(mask: np.ndarray) -> list[np.ndarray]:
    """4-connected components of a boolean mask, the largest first."""
    runs = _runs(mask)
    parent = list(range(len(runs)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    above: list[int] = []  # the runs one row up
    row = -1
    current: list[int] = []
    for index, (y, begin, end) in enumerate(runs):
        if y != row:
            above, current, row = (current if y == row + 1 else []), [], y
        for other in above:
            if runs[other][1] < end and begin < runs[other][2]:
                parent[root(other)] = root(index)
        current.append(index)

    parts: dict[int, np.ndarray] = {}
    for index, (y, begin, end) in enumerate(runs):
        part = parts.setdefault(root(index), np.zeros_like(mask))
        part[y, begin:end] = True
    return sorted(parts.values(), key=lambda part: -int(part.sum()))


def _runs(mask: np.ndarray) -> list[tuple[int, int, int]]:
    """(y, begin, end) of every horizontal run of a mask, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    ys, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return list(zip(ys.tolist(), begins.tolist(), ends.tolist(), strict=True))


def classify_shape(mask: np.ndarray) -> tuple[str, float]:
    """The shape whose template overlaps a mask best, and that intersection over union."""
    seen = _normalise(mask)
    best = ("", -1.0)
    for shape, template in _templates():
        iou = float((seen & template).sum() / max(1, (seen | template).sum()))
        best = max(best, (shape, iou), key=lambda candidate: candidate[1])
    return best


@cache
def _templates() -> tuple[tuple[str, np.ndarray], ...]:
    rows = []
    for shape, radius in itertools.product(SHAPES, TEMPLATE_RADII):
        canvas = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE), 0)
        draw_shape(ImageDraw.Draw(canvas), shape, SIZE / 2, SIZE / 2, radius, 255, 0)
        rows.append((shape, _normalise(np.asarray(canvas.reduce(SUPERSAMPLE)) > 127)))
    return tuple(rows)


def _normalise(mask: np.ndarray) -> np.ndarray:
    """A mask scaled to one area about its centroid, in a small square.

    Area and centroid change little when an outline wobbles; a bounding box would stretch a disc that is
    a little too narrow until it fits a hexagon better.
    """
    ys, xs = np.nonzero(mask)
    x, y = xs.mean() + 0.5, ys.mean() + 0.5
    half = TEMPLATE_SPAN * math.sqrt(len(xs)) / 2
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    box = (x - half, y - half, x + half, y + half)
    size = (TEMPLATE_SIZE, TEMPLATE_SIZE)
    return np.asarray(picture.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)) > 127
