"""Palettes: w ≈ table[code], one table for a group of values, found by k-means on a histogram.

One dimension and many values: a histogram of 2,048 bins says almost all, and on its prefix sums a step of
Lloyd's algorithm (1982) costs one lookup a centre, for all groups at once. The first centres follow the cube
root of the density, which is optimal for many centres (Panter and Dite 1951).

Shape key: G groups, M values of a group, B bins, P centres.
"""

import numpy as np

from ..weight import Array

__all__ = ["palettize"]

BINS = 2048
STEPS = 30


def palettize(groups: Array, bits: int) -> tuple[Array, Array]:
    """float32 (G, M) → uint8 codes (G, M), float32 tables (G, 2^bits), ascending."""
    low = groups.min(1)
    width = (groups.max(1) - low) / np.float32(BINS)
    inverse = np.divide(np.float32(1), width, out=np.zeros_like(width), where=width > 0)
    scaled = groups - low[:, None]
    scaled *= inverse[:, None]
    np.minimum(scaled, np.float32(BINS - 1), out=scaled)
    places = scaled.astype(np.intp)
    places += np.arange(len(groups))[:, None] * BINS
    places = places.reshape(-1)
    counts = np.bincount(places, minlength=len(groups) * BINS).reshape(len(groups), BINS)
    centres, code_of_bin = _lloyd(counts, 1 << bits)
    codes = code_of_bin.reshape(-1).take(places).reshape(groups.shape)
    # Bins count from 0 and their middle is half a bin further.
    table = low[:, None] + (centres.astype(np.float32) + np.float32(0.5)) * width[:, None]
    return codes, table


def _lloyd(counts: Array, size: int) -> tuple[Array, Array]:
    """Counts (G, B) → centres (G, P) in bins, float64, ascending; code of every bin, uint8 (G, B)."""
    groups = len(counts)
    weight = np.zeros((groups, BINS + 1))
    moment = np.zeros((groups, BINS + 1))
    np.cumsum(counts, 1, out=weight[:, 1:])
    np.cumsum(counts * np.arange(BINS, dtype=np.float64), 1, out=moment[:, 1:])
    centres = _first_centres(counts, size)
    for _ in range(STEPS):
        edges = _edges(centres)
        n, s = (
            np.diff(np.take_along_axis(weight, edges, 1), 1),
            np.diff(np.take_along_axis(moment, edges, 1), 1),
        )
        moved = np.divide(s, n, out=centres.copy(), where=n > 0)
        if np.abs(moved - centres).max(initial=0) < 1e-3:
            break
        centres = moved
    edges = _edges(centres)
    marks = np.zeros((groups, BINS + 1), np.int64)
    np.add.at(marks, (np.arange(groups)[:, None], edges[:, 1:-1]), 1)
    codes: Array = np.cumsum(marks[:, :BINS], 1).astype(np.uint8)
    return centres, codes


def _edges(centres: Array) -> Array:
    """The first bin of every centre and the end of the last one: int64 (G, P + 1)."""
    groups, size = centres.shape
    edges = np.empty((groups, size + 1), np.int64)
    edges[:, 0], edges[:, -1] = 0, BINS
    middle = np.ceil((centres[:, 1:] + centres[:, :-1]) / 2).astype(np.int64)
    edges[:, 1:-1] = np.clip(middle, 0, BINS)
    return edges


def _first_centres(counts: Array, size: int) -> Array:
    """Bins where the integral of the density's cube root passes (i + ½) / P, ascending: (G, P)."""
    integral = np.cumsum(np.cbrt(counts), 1)
    integral /= np.maximum(integral[:, -1:], 1e-30)
    wanted = (np.arange(size) + 0.5) / size
    return np.stack([np.searchsorted(row, wanted) for row in integral]).astype(np.float64)
