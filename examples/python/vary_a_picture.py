"""Draws a picture, and two that begin with it, by the settings that it carries.

python vary_a_picture.py "a red circle above a blue square"
"""

import sys
from dataclasses import replace

import tintype
from tintype.pipeline import read_parameters, request_of

with tintype.Pipeline.load(reduce_memory=True) as pipeline:
    first = pipeline.generate(sys.argv[1], seed=7)
    path = first.save("first.png")
    # The PNG is all that is needed to draw it again, on another day and by another program.
    request = request_of(read_parameters(path))
    varied = replace(request, image=first.image, strength=0.7, count=2)
    for result in pipeline.pictures(varied):
        print(result.save(f"variation_{result.settings.image_index + 1}.png"), result.settings.prompt)
