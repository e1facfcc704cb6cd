"""A denoiser as a row of blocks, which may be cut into packages between any two of them.

Devices fail to load or to compile packages that are too large, so a large denoiser is emitted as several,
each a run of whole blocks. What one leaves to the next (the residual streams) keeps its layout and its dtype,
so that the chunks compute what the whole computes, to the bit.

Several sizes of the picture are several functions of each package; the weights are the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from .. import layers as nn
from ..errors import ConversionError
from ..layers import Graph, IOSpec, MILProgram, Network, Precision, Target, Var, WeightProvider

__all__ = ["BlockRow", "Blocks", "build_chunks", "whole"]

Vars = Mapping[str, Var]
T = TypeVar("T")

#: A limit counts weights as float16, whatever they are stored as later.
BYTES_A_PARAMETER = 2


class Blocks(Protocol):
    """The blocks of a denoiser within one graph."""

    def __call__(self, index: int, streams: Vars) -> Vars:
        """Block `index` from the streams by name (nothing, for the first) to the streams after it; the last
        gives the outputs of the whole."""
        ...


class BlockRow(Protocol):
    """A denoiser at one size of the latent."""

    @property
    def count(self) -> int:
        """The number of blocks."""
        ...

    @property
    def inputs(self) -> Sequence[IOSpec]:
        """Inputs of the whole."""
        ...

    def needs(self, index: int) -> Sequence[str]:
        """Names of the inputs that block `index` reads."""
        ...

    def blocks(self, g: Graph, inputs: Vars) -> Blocks:
        """The blocks in `g`, of which some may be asked for; `inputs` are what those need."""
        ...


def whole(row: BlockRow, counts: list[int] | None = None) -> Network:
    """All blocks in one function. `counts`, if given, gets the parameters of each block."""

    def body(g: Graph, **inputs: Var) -> Vars:
        blocks, streams, before = row.blocks(g, inputs), dict[str, Var](), g.parameters
        for index in range(row.count):
            streams = dict(blocks(index, streams))
            if counts is not None:
                counts.append(g.parameters - before)
                before = g.parameters
        return streams

    return Network(row.inputs, body)


def build_chunks(
    rows: Mapping[str, BlockRow],
    weights: WeightProvider,
    *,
    precision: Precision,
    target: Target,
    max_bytes: int | None,
    finish: Callable[[MILProgram], T],
) -> Iterator[tuple[int, int, T]]:
    """The denoiser in as few packages as keep the weights of each within `max_bytes` (as float16); one if
    that is None or enough.

    `rows` is the denoiser by function, one a size, the default first. Each package is its number, from 1, how
    many there are, and what `finish` makes of its program, before the next one is built: programs need much
    memory together. Where a package turns out to be too large, those before it are void and the number is 1
    again. All weights are asked for before the first of several packages is given. ConversionError when one
    block alone is larger than the limit.
    """
    networks = {name: whole(row) for name, row in rows.items()}
    if max_bytes is None:
        yield 1, 1, finish(nn.build_functions(networks, weights, precision, target))
        return
    bytes_ = _block_bytes(next(iter(rows.values())), weights, precision)
    for count in range(1, len(bytes_) + 1):
        bounds = balanced(bytes_, count)
        if max(sum(bytes_[a:b]) for a, b in bounds) > max_bytes:
            continue
        programs = (
            _build(rows, bounds, weights, precision, target)
            if count > 1
            else [nn.build_functions(networks, weights, precision, target)]
        )
        for number, program in enumerate(programs, start=1):
            # Tables that every chunk needs, those of further sizes, and the target's own are not in `bytes_`.
            if program.parameters * BYTES_A_PARAMETER > max_bytes:
                break
            yield number, count, finish(program)
        else:
            return
    largest = int(np.argmax(bytes_))
    raise ConversionError(
        f"max_chunk is {max_bytes:,} bytes, but block {largest} of the denoiser alone has "
        f"{bytes_[largest] / 1e6:.2f} MB of weights as float16: choose a larger limit, or none"
    )


def _block_bytes(row: BlockRow, weights: WeightProvider, precision: Precision) -> list[int]:
    """Bytes of the weights of each block as float16.

    Counting takes a build: what a block holds depends on the family. One for the GPU has a tenth of the ops
    that the Neural Engine's has, and the same weights but for a few vectors.
    """
    counts: list[int] = []
    network = whole(row, counts)
    nn.build_program(network.inputs, weights, precision, network.body, "gpu")
    return [count * BYTES_A_PARAMETER for count in counts]


def balanced(sizes: Sequence[int], parts: int) -> list[tuple[int, int]]:
    """`sizes` as `parts` runs [begin, end) whose largest sum is as small as it can be."""
    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        if len(_runs(sizes, middle, parts)) <= parts:
            high = middle
        else:
            low = middle + 1
    return _runs(sizes, low, parts)


def _runs(sizes: Sequence[int], limit: int, parts: int) -> list[tuple[int, int]]:
    """Runs filled up to `limit`, none of them left empty where there must be `parts`."""
    runs: list[tuple[int, int]] = []
    begin, total = 0, 0
    for index, size in enumerate(sizes):
        left_over = len(sizes) - index == parts - len(runs) - 1
        if index > begin and (total + size > limit or left_over):
            runs.append((begin, index))
            begin, total = index, 0
        total += size
    return [*runs, (begin, len(sizes))]


def _build(
    rows: Mapping[str, BlockRow],
    bounds: Sequence[tuple[int, int]],
    weights: WeightProvider,
    precision: Precision,
    target: Target,
) -> Iterator[MILProgram]:
    streams: dict[str, Sequence[IOSpec]] = dict.fromkeys(rows, ())
    for number, (begin, end) in enumerate(bounds, start=1):
        networks = {name: _chunk(row, begin, end, number, streams[name]) for name, row in rows.items()}
        program = nn.build_functions(networks, weights, precision, target)
        outputs = {name: io.outputs for name, io in program.functions.items()}
        streams = {name: outputs.get(name, program.outputs) for name in rows}
        yield program


def _chunk(row: BlockRow, begin: int, end: int, number: int, streams: Sequence[IOSpec]) -> Network:
    """Blocks [begin, end) of the row: streams from chunk number − 1 are called NAME_{number − 1}."""
    needed = {name for index in range(begin, end) for name in row.needs(index)}
    inputs = [spec for spec in row.inputs if spec.name in needed]
    suffix = f"_{number - 1}"

    def body(g: Graph, **given: Var) -> Vars:
        blocks = row.blocks(g, {name: given[name] for name in needed})
        current = {spec.name.removesuffix(suffix): given[spec.name] for spec in streams}
        for index in range(begin, end):
            current = dict(blocks(index, current))
        if end == row.count:
            return current
        return {
            f"{name}_{number}": nn.identity(g, var, output=f"{name}_{number}")
            for name, var in current.items()
        }

    return Network([*inputs, *streams], body)
