"""The demo model's accuracy table: deterministic prompts, pictures judged by the checker.

`generate` is any callable (prompt, seed) → PIL picture, so that PyTorch, the engine and every
quantisation are measured by the same lines:

    table = evaluate(lambda prompt, seed: my_pipeline(prompt, seed=seed, steps=12))
    print(format_table(table))

Needs numpy and PIL only.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from .checker import ASPECTS, Score, Verdict, judge
from .world import HELD_OUT, Scene, caption, sample_scene

Generate = Callable[[str, int], Image.Image]
Table = dict[str, Verdict]  # row title → one Score an aspect

BASE_SEED = 900


@dataclass(frozen=True)
class PromptSet:
    """One row of the table: `share` of all prompts, with a held-out pair in each or in none."""

    title: str
    kind: str
    held_out: bool
    share: float


PROMPT_SETS = (
    PromptSet("one object, seen pairs", "one", False, 0.3),
    PromptSet("one object, held-out pair", "one", True, 0.2),
    PromptSet("two objects, seen pairs", "relation", False, 0.3),
    PromptSet("two objects, one held out", "relation", True, 0.2),
)


@dataclass(frozen=True)
class Prompt:
    """A prompt, the scene that it describes and the seed to draw it with."""

    text: str
    scene: Scene
    seed: int
    row: str


def prompts(count: int = 200) -> Iterator[Prompt]:
    """The evaluation's prompts, the same in every run; smaller counts take the first of every row."""
    for index, row in enumerate(PROMPT_SETS):
        rng = random.Random(BASE_SEED + index)
        for number in range(round(count * row.share)):
            scene = sample_scene(rng, row.kind)
            if row.held_out:
                scene = _with_held_out(scene, number, rng)
            yield Prompt(caption(scene, rng), scene, 5000 * (index + 1) + number, row.title)


def _with_held_out(scene: Scene, number: int, rng: random.Random) -> Scene:
    """The scene with one thing turned into a held-out pair; the pairs take turns."""
    colour, shape = sorted(HELD_OUT)[number % len(HELD_OUT)]
    things = list(scene.things)
    place = rng.randrange(len(things))
    things[place] = dataclasses.replace(things[place], colour=colour, shape=shape)
    return dataclasses.replace(scene, things=tuple(things))


def evaluate(
    generate: Generate, count: int = 200, on_picture: Callable[[Prompt, Verdict], None] | None = None
) -> Table:
    """Draws and judges every prompt; `on_picture` sees each verdict as it falls."""
    table: Table = {}
    for prompt in prompts(count):
        verdict = judge(generate(prompt.text, prompt.seed), prompt.scene)
        add_verdict(table, prompt.row, verdict)
        if on_picture:
            on_picture(prompt, verdict)
    return table


def add_verdict(table: Table, row: str, verdict: Verdict) -> None:
    """Adds one picture's verdict to a row."""
    totals = table.setdefault(row, {})
    for aspect, score in verdict.items():
        totals[aspect] = totals.get(aspect, Score(0, 0)) + score


def format_table(table: Table) -> str:
    """The table in Markdown, percent."""
    lines = ["| prompts | n | " + " | ".join(ASPECTS) + " |", "|---|---" + "|---" * len(ASPECTS) + "|"]
    for row, totals in table.items():
        cells = [f"{totals[a].percent:.1f}" if a in totals else "–" for a in ASPECTS]
        lines.append(f"| {row} | {totals['all'].asked} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
