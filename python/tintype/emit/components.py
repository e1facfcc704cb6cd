"""A component of a bundle: its packages on disk, and its row of bundle.json."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import Chunk, Component, Interface, TensorSpec
from ..compress import RECIPES, Selection
from ..errors import UsageError
from ..layers import Compression, FunctionIO, IOSpec, MILProgram, compress_program, uncollected
from .ahead import one_ahead, sharing_the_interpreter
from .package import PlacedProgram, place, write_placed
from .plan import Plan
from .resume import Record

__all__ = [
    "ComponentWriter",
    "PreparedProgram",
    "Progress",
    "check_globs",
    "prepare_program",
    "write_component",
    "write_components",
]

#: Called with (component, bytes of weights written, bytes of weights in all); by the accuracy gate with
#: ("measuring", steps done, steps in all).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PreparedProgram:
    """A program that is ready to be written. Of `program` only the description is left, its ops are gone;
    `compression` is what was compressed, None if nothing was to be."""

    program: MILProgram
    placed: PlacedProgram
    compression: Compression | None


def prepare_program(program: MILProgram, selection: Selection | None) -> PreparedProgram:
    """Store the weights of `program`, which is used up, as `selection` says, and translate it."""
    compression = None
    if selection is not None:
        program, compression = compress_program(program, selection)
    placed = place(program)
    program.release()
    return PreparedProgram(program, placed, compression)


class ComponentWriter:
    """Writes the packages of the component `name` into `stage`, one after another.

    `selection` is what its programs are prepared with, `stem` the packages' name, by default the component's.
    """

    def __init__(
        self,
        name: str,
        stage: Path,
        selection: Selection | None,
        progress: Progress | None,
        stem: str | None = None,
    ) -> None:
        self._name, self._stage, self._selection, self._progress = name, stage, selection, progress
        self._stem = stem or name
        self._waiting: list[PreparedProgram] = []
        self._programs: list[MILProgram] = []
        self._done: list[Compression] = []
        self._chunks: list[Chunk] = []

    def add(self, part: PreparedProgram, number: int, count: int) -> Component | None:
        """Write program `number` (from 1, in order) of `count`; with the last one, what was written is
        described. The number 1 again removes what was written before.

        Programs of a mixture wait for the last one, which tells whether each of its globs matches a weight:
        UsageError if one does not.
        """
        if number == 1:
            self._begin()
        self._waiting.append(part)
        if number == count:
            check_globs(self._selection, self._name, self._waiting)
        elif _is_mixture(self._selection):
            return None
        for waiting in self._waiting:
            self._write(waiting, count)
        self._waiting = []
        return self._described() if number == count else None

    def _begin(self) -> None:
        for chunk in self._chunks:
            shutil.rmtree(self._stage / chunk.path)
        self._waiting, self._programs, self._done, self._chunks = [], [], [], []

    def _write(self, part: PreparedProgram, count: int) -> None:
        label = self._stem if count == 1 else f"{self._stem}_chunk{len(self._chunks) + 1}"
        path = f"{label}.mlpackage"

        def report(written: int, total: int) -> None:
            if self._progress is not None:
                self._progress(label, written, total)

        package, program = write_placed(part.placed, self._stage / path, report), part.program
        self._programs.append(program)
        self._done += [] if part.compression is None else [part.compression]
        self._chunks.append(
            Chunk(
                path=path,
                inputs=_specs(program.inputs),
                outputs=_specs(program.outputs),
                parameters=program.parameters,
                weight_bytes=package.weight_bytes,
                sha256=package.sha256,
                functions={n: _function(io) for n, io in program.functions.items()},
            )
        )

    def _described(self) -> Component:
        programs, chunks = self._programs, self._chunks
        row = {} if self._selection is None else _compression(self._selection, self._done)
        if len(chunks) == 1:
            return Component(**vars(chunks[0]), compression=row)
        functions = {n: _joined(programs, n) for n in programs[0].functions}
        inputs, outputs = _joined(programs, None).inputs, chunks[-1].outputs
        return Component(
            path="",
            inputs=inputs,
            outputs=outputs,
            parameters=sum(chunk.parameters for chunk in chunks),
            weight_bytes=sum(chunk.weight_bytes for chunk in chunks),
            compression=row,
            functions=functions,
            chunks=tuple(chunks),
        )


def write_component(
    prepared: Sequence[PreparedProgram],
    name: str,
    stage: Path,
    selection: Selection | None,
    progress: Progress | None,
    stem: str | None = None,
) -> Component:
    """All programs of a component by a `ComponentWriter`."""
    writer = ComponentWriter(name, stage, selection, progress, stem)
    for number, part in enumerate(prepared, start=1):
        component = writer.add(part, number, len(prepared))
    assert component is not None, "the last program completes the component"
    return component


def write_components(
    plan: Plan, done: Record, stage: Path, recipes: Mapping[str, Selection], progress: Progress | None
) -> None:
    """Write the components that are not done; the graph of a package is built while the one before it is
    written."""
    writers: dict[str, ComponentWriter] = {}
    with uncollected(), sharing_the_interpreter():
        for part in one_ahead(plan.parts(lambda name, program: prepare_program(program, recipes.get(name)))):
            name = part.component
            if name in done.finished:
                continue
            if name not in writers:
                writers[name] = ComponentWriter(name, stage, recipes.get(name), progress)
            component = writers[name].add(part.made, part.number, part.count)
            if component is not None:
                done.add(name, component)


def _function(io: FunctionIO) -> Interface:
    return Interface(_specs(io.inputs), _specs(io.outputs))


def _joined(programs: Sequence[MILProgram], function: str | None) -> Interface:
    """Chunks as one: every input that no chunk before gives, and the outputs of the last one."""
    inputs: dict[str, TensorSpec] = {}
    made: set[str] = set()
    io = FunctionIO((), ())
    for program in programs:
        io = FunctionIO(program.inputs, program.outputs) if function is None else program.functions[function]
        inputs |= {s.name: s for s in _specs(io.inputs) if s.name not in made}
        made |= {s.name for s in io.outputs}
    return Interface(tuple(inputs.values()), _specs(io.outputs))


def check_globs(selection: Selection | None, name: str, prepared: Sequence[PreparedProgram]) -> None:
    """UsageError where a glob of a mixture matches no weight of the component `name`."""
    if selection is None or not _is_mixture(selection):
        return
    done = (part.compression for part in prepared)
    candidates = [weight for part in done if part is not None for weight in part.candidates]
    idle = selection.idle(candidates)
    if idle:
        some = ", ".join(candidates[:3]) + (", …" if len(candidates) > 3 else "")
        raise UsageError(
            f"quantize: {', '.join(map(repr, idle))} matches none of the {len(candidates)} weights of {name} "
            f"that can be compressed ({some or 'it has none'}): correct it or leave it out"
        )


def _is_mixture(selection: Selection | None) -> bool:
    return selection is not None and selection.name not in RECIPES


def _compression(selection: Selection, done: Sequence[Compression]) -> dict[str, Any]:
    """For bundle.json: the recipe, the errors ‖stored − source‖ / ‖source‖, and what was left alone."""
    errors = {w.source.name: w.error for part in done for w in part.weights if w.error is not None}
    undivided = [name for part in done for name in part.undivided]
    row: dict[str, Any] = {"recipe": selection.name, "weights": len(errors)}
    if _is_mixture(selection):
        row["recipes"] = dict(sorted(Counter(w.recipe.name for part in done for w in part.weights).items()))
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        row["mean_error"] = round(sum(errors.values()) / len(errors), 6)
        row["largest_error"] = {"weight": worst, "error": round(errors[worst], 6)}
    return row | ({"undivided": undivided} if undivided else {})


def _specs(specs: Sequence[IOSpec]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(s.name, s.dtype, s.shape) for s in specs)
