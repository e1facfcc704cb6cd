"""Write small pictures in several formats, and PNG files of every EXIF orientation, with Pillow's reading of them.

Usage: python make_pictures.py ../pictures
Writes the files and expected.json: name -> [width, height, RGB bytes in hexadecimal], upright.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
pixels = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(3, 5, 3) * 5
picture = Image.fromarray(pixels)
smooth = Image.fromarray(np.linspace(0, 255, 16 * 8 * 3).reshape(8, 16, 3).astype(np.uint8))
expected = {}


def keep(name: str, image: Image.Image, **options: object) -> None:
    image.save(out / name, **options)
    with Image.open(out / name) as file:
        upright = ImageOps.exif_transpose(file).convert("RGB")
    expected[name] = [*upright.size, upright.tobytes().hex()]


for orientation in range(1, 9):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    keep(f"orientation-{orientation}.png", picture, exif=exif)
exif = Image.Exif()
exif[ORIENTATION] = 6
keep("turned.jpg", smooth, exif=exif, quality=95, subsampling=0)
for suffix in ("tiff", "bmp", "gif", "webp", "avif", "jp2"):
    keep(f"plain.{suffix}", picture, **({"lossless": True} if suffix == "webp" else {}))

(out / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
