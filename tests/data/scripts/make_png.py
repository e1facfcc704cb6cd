"""Write small PNG files of every colour type and bit depth, plain and interlaced, with Pillow's reading of them.

Usage: python make_png.py ../png
Writes NAME.png and expected.json: name -> [width, height, RGB bytes in hexadecimal]. Pillow cuts 16-bit colour to 8
bits as Tintype does; for 16-bit grey, which it keeps, the high bytes are taken here.
"""

import io
import json
import pathlib
import random
import struct
import sys
import zlib

import numpy as np
from PIL import Image

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
random.seed(1)
WIDTH, HEIGHT = 13, 11
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(values: list[int], depth: int) -> bytes:
    bits = "".join(f"{value:0{depth}b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def filtered(line: bytes, above: bytes, distance: int, kind: int) -> bytes:
    result = [kind]
    for i, value in enumerate(line):
        left = line[i - distance] if i >= distance else 0
        up, corner = above[i], above[i - distance] if i >= distance else 0
        paeth = min((left, up, corner), key=lambda g: abs(left + up - corner - g))
        result.append((value - (0, left, up, (left + up) // 2, paeth)[kind]) % 256)
    return bytes(result)


expected = {}
for colour, depth in [(0, d) for d in (1, 2, 4, 8, 16)] + [(3, d) for d in (1, 2, 4, 8)] + [
    (kind, d) for kind in (2, 4, 6) for d in (8, 16)
]:
    for interlaced in (0, 1):
        count = SAMPLES[colour]
        top = 2**depth - 1
        if colour == 3 and depth == 8:
            top = 99
        pixels = [[[random.randint(0, top) for _ in range(count)] for _ in range(WIDTH)] for _ in range(HEIGHT)]
        rows = b""
        for left, first, right, down in ADAM7 if interlaced else [(0, 0, 1, 1)]:
            above = None
            for row in pixels[first::down]:
                line = packed([v for pixel in row[left::right] for v in pixel], depth)
                if not line:
                    continue
                above = above or bytes(len(line))
                rows += filtered(line, above, max(1, count * depth // 8), random.randrange(5))
                above = line
        name = f"colour{colour}-depth{depth}" + ("-interlaced" if interlaced else "")
        data = b"\x89PNG\r\n\x1a\n" + chunk(
            b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
        )
        if colour == 3:
            data += chunk(b"PLTE", bytes(random.randrange(256) for _ in range(3 * (top + 1))))
        body = zlib.compress(rows, random.choice((0, 1, 9)))
        data += chunk(b"IDAT", body[:20]) + chunk(b"IDAT", body[20:]) + chunk(b"IEND", b"")
        (out / f"{name}.png").write_bytes(data)
        image = Image.open(io.BytesIO(data))
        if image.mode.startswith("I"):
            grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
            image = Image.fromarray(grey)
        expected[name] = [WIDTH, HEIGHT, image.convert("RGB").tobytes().hex()]
(out / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
