"""Weights in fewer bits: int8 and int4 with scales, and palettes of 16 to 256 values.

NumPy only. `recipes` says what a user may ask for and what each component gets, `integers` and `palette` are
the maths on blocks of rows, `weights` makes the tensors that `emit` streams into a package.
"""

from .recipes import NONE, RECIPES, Recipe, Selection, candidates, recipes_for
from .weights import CompressedWeight, Encoded, UnevenWeightError

__all__ = [
    "NONE",
    "RECIPES",
    "CompressedWeight",
    "Encoded",
    "Recipe",
    "Selection",
    "UnevenWeightError",
    "candidates",
    "recipes_for",
]
