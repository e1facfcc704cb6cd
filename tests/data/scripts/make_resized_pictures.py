"""A picture, and what Pillow makes of it in other sizes: `python make_resized_pictures.py`."""

from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "resizing"
SIZES = ((64, 64), (48, 128))


def picture() -> Image.Image:
    """80x61: edges, ramps and noise in every channel."""
    y, x = np.mgrid[0:61, 0:80]
    noise = np.random.RandomState(3).randint(0, 256, (61, 80))
    channels = ((x * 3 + y) % 256, np.where((x // 7 + y // 5) % 2, 255, 0), noise)
    return Image.fromarray(np.dstack(channels).astype(np.uint8))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    original = picture()
    original.save(FOLDER / "picture.png")
    for size in SIZES:
        name = f"{size[0]}x{size[1]}.png"
        original.resize(size, Image.Resampling.LANCZOS).save(FOLDER / f"stretch-{name}")
        ratio = size[0] / size[1]
        columns, rows = min(80, round(61 * ratio)), min(61, round(80 / ratio))
        left, top = (80 - columns) // 2, (61 - rows) // 2
        middle = original.crop((left, top, left + columns, top + rows))
        middle.resize(size, Image.Resampling.LANCZOS).save(FOLDER / f"fill-{name}")


if __name__ == "__main__":
    main()
