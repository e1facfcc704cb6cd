"""The networks, one file a family: a config dataclass, and `build` functions that return a finished program.

Models compose `tintype.layers` and read weights through a provider that they are given; they import neither
`tintype.weights` nor coremltools.
"""

from . import clip, flux, sd3, t5, vae

__all__ = ["clip", "flux", "sd3", "t5", "vae"]
