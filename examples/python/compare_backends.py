"""Draws one prompt on every backend of this machine from the same noise, and compares the pictures.

Usage: python compare_backends.py [BUNDLE]        (without one: the embedded model)
"""

import sys

import numpy as np

import tintype

PROMPT = "a yellow star to the left of a blue ring on a navy background"

pipeline = tintype.Pipeline.load(sys.argv[1] if len(sys.argv) > 1 else None)
pictures = {}
for backend in tintype.backends():
    if not backend.available:
        print(f"{backend.name}: {backend.reason}")
        continue
    result = pipeline.generate(PROMPT, seed=7, backend=backend.name)
    result.save(f"{backend.name}.png")
    pictures[backend.name] = np.asarray(result.image, dtype=np.int16)
    print(f"{backend.name}: {result.timings.total:.2f} s, {backend.name}.png")

for name, picture in pictures.items():
    difference = np.abs(picture - next(iter(pictures.values()))).max()
    print(f"{name}: differs by at most {difference}/255 from {next(iter(pictures))}")
