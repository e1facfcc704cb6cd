"""Owns the loop: reports every step, saves the latents after each, and stops early when asked to.

Usage: python watch_the_steps.py "a red circle above a blue square" [STOP_AFTER]
"""

import sys

import numpy as np

import tintype
from tintype.pipeline import GenerationResult, Step

stop_after = int(sys.argv[2]) if len(sys.argv) > 2 else None
for event in tintype.Pipeline.load().steps(sys.argv[1], seed=1):
    if isinstance(event, Step):
        print(f"step {event.number}/{event.steps}: sigma {event.sigma:.3f}, {event.seconds:.2f} s")
        np.save(f"latents_{event.number:02}.npy", event.latents)
        if event.number == stop_after:
            break
    elif isinstance(event, GenerationResult):
        print(event.save("picture.png"))
