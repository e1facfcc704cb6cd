"""LoRAs merged into a checkpoint's weights while they are read.

    W' = W + scale · alpha / r · B·A,   W (O, I), A (r, I), B (O, r)

The product is made in float32, a block of rows at a time, when the weight is read: memory stays at a block
and the factors of one layer. Several LoRAs add up, in order. Weights are converted on all cores, so a product
must not wait for BLAS's own threads: it is made of many so small that BLAS does not wake them.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import ConversionError
from ...weight import Array, Weight
from ..checkpoint import Checkpoint
from ..storage.half import converted
from ..storage.safetensors import StoredWeight
from ..storage.view import TensorView
from .adapters import Lora, LoraLayer, shown
from .keys import DOWN, UP, LayerNames, Piece, trained_on

__all__ = ["LowRank", "MergedWeight", "Merges", "bind_loras", "merge"]

#: Elements of a weight that are merged at once: what a core's cache holds.
BLOCK_ELEMENTS = 1 << 18

#: Rows of one small product. Blocks begin at multiples of it, so that the sums, and with them the bytes, are
#: the same whatever part of a weight is asked for.
ROWS = 16

#: Multiplications up to which OpenBLAS stays in the thread that calls it, and columns that are worth a call.
SERIAL_PRODUCT, MIN_COLUMNS = 1 << 18, 32


@dataclass(frozen=True)
class LowRank:
    """One term factor·B·A of a weight: `down` A (r, …), `up` the rows of B (O, r) that belong to it."""

    down: StoredWeight
    up: TensorView
    factor: float

    def rows(self, begin: int, end: int, tiles: Array, room: Array) -> Array:
        """Rows [begin, end) of the term, float32, from `tiles()`, made in `room`, flat, at its beginning."""
        count, rank, columns = tiles.shape
        up = self.up.elements(begin * rank, end * rank, np.float32).reshape(-1, rank)
        up = up * np.float32(self.factor)
        change = room[: len(up) * count * columns].reshape(len(up), -1)
        even = len(up) // ROWS * ROWS
        for part, size in ((slice(0, even), ROWS), (slice(even, len(up)), len(up) - even)):
            if size:
                places = change[part].reshape(-1, size, count, columns).transpose(0, 2, 1, 3)
                np.matmul(up[part].reshape(-1, 1, size, rank), tiles, out=places)
        return change

    def tiles(self) -> Array:
        """A in float32, cut by columns: (n, r, inputs / n)."""
        down = self.down.array(np.float32).reshape(self.down.shape[0], -1)
        rank, columns = down.shape
        while columns % 2 == 0 and columns > MIN_COLUMNS and columns * rank * ROWS > SERIAL_PRODUCT:
            columns //= 2
        return np.ascontiguousarray(down.reshape(rank, -1, columns).transpose(1, 0, 2))


@dataclass(frozen=True)
class MergedWeight:
    """`source` with the terms added in order; implements `Weight`."""

    source: Weight
    terms: tuple[LowRank, ...]

    @property
    def name(self) -> str:
        """The key in the checkpoint."""
        return self.source.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, the source's."""
        return self.source.shape

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        return np.concatenate(list(self.chunks(dtype))).reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) as `dtype`, flat; ConversionError where a sum does not fit."""
        end = min(end, math.prod(self.shape))
        if begin >= end:
            return np.empty(0, dtype)
        row, step = math.prod(self.shape[1:]), self._step()
        factors = [term.tiles() for term in self.terms]
        pieces, room = [], self._room()
        for first in range(begin // row // step * step, -(-end // row), step):
            block = self._block(first, min(first + step, self.shape[0]), factors, room)
            pieces.append(self._as(dtype, block[max(begin - first * row, 0) : end - first * row]))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The elements in pieces of bounded size."""
        step, room = self._step(), self._room()
        factors = [term.tiles() for term in self.terms]
        for first in range(0, self.shape[0], step):
            block = self._block(first, min(first + step, self.shape[0]), factors, room)
            yield self._as(dtype, block)

    def _step(self) -> int:
        """Rows of a block."""
        return max(ROWS, BLOCK_ELEMENTS // math.prod(self.shape[1:]) // ROWS * ROWS)

    def _room(self) -> Array:
        """Memory that a block's product is made in: fresh memory for each costs as much as the product."""
        return np.empty(min(self._step(), self.shape[0]) * math.prod(self.shape[1:]), np.float32)

    def _block(self, first: int, last: int, factors: Sequence[Array], room: Array) -> Array:
        """Rows [first, last) of the sum, float32, flat, in memory of the source or of `room`."""
        row = math.prod(self.shape[1:])
        total = self.source.elements(first * row, last * row, np.float32)  # perhaps the file's own memory
        for term, tiles in zip(self.terms, factors, strict=True):
            with np.errstate(all="ignore"):
                change = term.rows(first, last, tiles, room).reshape(-1)
            if not np.isfinite((change.min(), change.max())).all():
                raise ConversionError(
                    f"{term.down.file.path}: the change of {self.name} that {term.down.name} and its other "
                    "half give holds infinities or NaN: the file is damaged, download it again, or choose "
                    "a smaller scale"
                )
            total = np.add(total, change, out=change if len(factors) == 1 else None)
        return total

    def _as(self, dtype: npt.DTypeLike, values: Array) -> Array:
        try:
            found = converted(values, dtype)
            return found.copy() if found is values else found  # the next block takes the memory
        except FloatingPointError as error:
            files = ", ".join(dict.fromkeys(str(term.down.file.path) for term in self.terms))
            raise ConversionError(
                f"{self.name}, merged with {files}, holds a value beyond 65504, the largest float16: "
                "choose a smaller scale, or convert with precision float32"
            ) from error


#: Folder of the Hugging Face layout → key of a weight → what is added to it.
Merges = Mapping[str, Mapping[str, tuple[LowRank, ...]]]


def bind_loras(
    loras: Sequence[Lora],
    checkpoints: Mapping[str, Checkpoint],
    *,
    family: str,
    folders: Mapping[str, str],
) -> Merges:
    """What the LoRAs add to which weights of `checkpoints`, the components that are converted, by folder.

    `folders` maps the folders that LoRA files name to the family's own. Every key must find its weight, with
    the right shape: ConversionError lists those that do not. Keys of components that are not converted are
    left out with a warning; it is an error if nothing is left.
    """
    found: dict[str, dict[str, tuple[LowRank, ...]]] = {folder: {} for folder in checkpoints}
    for lora in loras:
        for folder, weights in _terms(lora, checkpoints, family, folders).items():
            for key, term in weights.items():
                found[folder][key] = (*found[folder].get(key, ()), term)
    return found


def merge(checkpoint: Checkpoint, terms: Mapping[str, tuple[LowRank, ...]]) -> Checkpoint:
    """`checkpoint` with the terms of its weights added when they are read; the same object."""
    for key, parts in terms.items():
        checkpoint.tensors[key] = MergedWeight(checkpoint.tensors[key], parts)
    return checkpoint


def _terms(
    lora: Lora, checkpoints: Mapping[str, Checkpoint], family: str, folders: Mapping[str, str]
) -> dict[str, dict[str, LowRank]]:
    """What one LoRA adds, by folder and key."""
    names = {
        folder: LayerNames(
            [key for key in checkpoint.tensors if key.endswith(".weight")],
            family,
            transformer=folder == "transformer",
        )
        for folder, checkpoint in checkpoints.items()
    }
    terms: dict[str, dict[str, LowRank]] = {folder: {} for folder in checkpoints}
    unknown, wrong = [], []
    left: dict[str, int] = {}
    for (component, layer), entry in lora.layers.items():
        folder = folders.get(component, component)
        key = entry.halves[DOWN].name
        if folder not in folders.values():
            unknown.append(key)
            continue
        if folder not in checkpoints:
            left[folder] = left.get(folder, 0) + 1
            continue
        pieces = names[folder].pieces(layer)
        if not pieces:
            unknown.append(key)
            continue
        problem = _misfit(entry, pieces, checkpoints[folder])
        if problem is not None:
            wrong.append(problem)
            continue
        factor = lora.factor(component, layer)
        for piece in pieces:
            if piece.key in terms[folder]:
                wrong.append(f"{key} changes {piece.key}, which another pair of the file changes, too")
            up = entry.halves[UP]
            view = TensorView.rows(piece.key, up, piece.rows(up.shape[0]))
            terms[folder][piece.key] = LowRank(entry.halves[DOWN], view, factor)
    _complain(lora, family, unknown, wrong)
    _warn(lora, left, any(terms.values()))
    return terms


def _misfit(entry: LoraLayer, pieces: Sequence[Piece], checkpoint: Checkpoint) -> str | None:
    """What is wrong with the shapes of a pair, None if nothing is."""
    down, up = entry.halves[DOWN], entry.halves[UP]
    targets = [checkpoint.tensors[piece.key].shape for piece in pieces]
    outputs, inputs = sum(shape[0] for shape in targets), targets[0][1:]
    rank = down.shape[0] if down.shape else 0
    fits = (
        rank > 0
        and _same(down.shape, (rank, *inputs))
        and _same(up.shape, (outputs, rank))
        and all(
            sum(end - begin for begin, end in piece.rows(up.shape[0])) == shape[0]
            for piece, shape in zip(pieces, targets, strict=True)
        )
    )
    if fits:
        return None
    where = " + ".join(f"{piece.key} {list(shape)}" for piece, shape in zip(pieces, targets, strict=True))
    return (
        f"{down.name} is {list(down.shape)} and {up.name} is {list(up.shape)}, "
        f"expected [r, {', '.join(map(str, inputs))}] and [{outputs}, r] for {where}"
    )


def _same(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Equal but for axes of length 1 at the end, which 1×1 kernels have."""
    length = max(len(shape), len(expected))
    return shape + (1,) * (length - len(shape)) == expected + (1,) * (length - len(expected))


def _complain(lora: Lora, family: str, unknown: Sequence[str], wrong: Sequence[str]) -> None:
    """ConversionError if a key is unknown or a shape is wrong."""
    if not unknown and not wrong:
        return
    parts = []
    if unknown:
        parts.append(f"{len(unknown)} keys name no layer of the model: {shown(unknown)}")
    if wrong:
        parts.append(f"{len(wrong)} pairs do not fit: {shown(wrong)}")
    other = trained_on([tensor.name for entry in lora.layers.values() for tensor in entry.halves.values()])
    own = {"sd3": "Stable Diffusion 3", "flux": "FLUX.1"}[family]
    hint = f"its keys are those of {other}, and the checkpoint is {own}; " if other not in (None, own) else ""
    raise ConversionError(
        f"{lora.path} does not belong to this checkpoint: {'; '.join(parts)}: {hint}"
        "use a LoRA that was trained on this very model (family and size)"
    )


def _warn(lora: Lora, left: Mapping[str, int], anything: bool) -> None:
    """Tell of the components that are not converted; ConversionError if the LoRA changes no other."""
    if not left:
        return
    rows = ", ".join(f"{folder} ({count} layers)" for folder, count in sorted(left.items()))
    if not anything:
        raise ConversionError(
            f"{lora.path} only changes {rows}, which is not converted: leave --lora out, or choose "
            "--components that have it"
        )
    warnings.warn(
        f"{lora.path} also changes {rows}, which is not converted and so stays as it is: convert it, too, "
        "for the LoRA's whole effect",
        UserWarning,
        stacklevel=2,
    )
