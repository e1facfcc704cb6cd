#!/usr/bin/env python3
"""Draws the README's contact sheet: 24 prompts, one seed for all, none picked.

python contact_sheet.py --model MODEL --out ../../docs/images/demo_sheet.png
"""

from __future__ import annotations

import argparse
import pathlib
import textwrap

from drawing import draw, load_pipeline
from PIL import Image, ImageDraw, ImageFont
from source_tree import EMBEDDED_MODEL

PROMPTS = (
    "a red circle",
    "a yellow star on a navy background",
    "a pink heart on a white background",
    "a large green hexagon",
    "a small blue square on a beige background",
    "a purple triangle on a light blue background",
    "a brown cross on gray",
    "an orange diamond on a black background",
    "a red star",
    "an orange heart on a beige background",
    "a yellow crescent on a navy background",
    "a purple circle",
    "a red circle above a blue square on a white background",
    "a green star to the left of a yellow heart",
    "a pink ring below a purple diamond",
    "an orange square to the right of a cyan cross on a black background",
    "a blue triangle on top of a yellow circle on a gray background",
    "a red heart under a green triangle",
    "two red hearts on a beige background",
    "a yellow crescent and a blue star on light blue",
    "a cyan triangle to the left of a brown hexagon",
    "a small green circle above a large red square",
    "two yellow stars on a black background",
    "a picture of a red heart next to a pink heart on a light blue background",
)
SEED = 42
COLUMNS = 6
TILE, PAD, TEXT = 160, 12, 40  # pixels


def sheet(pictures: list[Image.Image], prompts: tuple[str, ...] = PROMPTS) -> Image.Image:
    """The pictures in rows of six, each over its prompt."""
    rows = -(-len(pictures) // COLUMNS)
    width, height = TILE + PAD, TILE + TEXT + PAD
    canvas = Image.new("RGB", (COLUMNS * width + PAD, rows * height + PAD), (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(11)
    for index, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = PAD + index % COLUMNS * width, PAD + index // COLUMNS * height
        canvas.paste(picture.resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
        pen.rectangle([x, y, x + TILE - 1, y + TILE - 1], outline=(205, 205, 205))
        pen.multiline_text(
            (x, y + TILE + 4), textwrap.fill(prompt, 27), font=font, fill=(40, 40, 40), spacing=1
        )
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=EMBEDDED_MODEL)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    pictures = draw(load_pipeline(args.model), list(PROMPTS), [SEED + i for i in range(len(PROMPTS))])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(pictures).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
