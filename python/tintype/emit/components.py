"""A component of a bundle: its packages on disk, and its row of bundle.json."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import Chunk, Component, Interface, TensorSpec
from ..compress import RECIPES, Selection
from ..errors import UsageError
from ..layers import Compression, FunctionIO, IOSpec, MILProgram, compress_program
from .package import PlacedProgram, place, write_placed

__all__ = ["PreparedProgram", "Progress", "check_globs", "prepare_program", "write_component"]

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


def write_component(
    prepared: Sequence[PreparedProgram],
    name: str,
    stage: Path,
    selection: Selection | None,
    progress: Progress | None,
    stem: str | None = None,
) -> Component:
    """Write the program of a component, or its chunks, into `stage` and describe what was written.

    `selection` is what they were prepared with, `stem` the packages' name, by default the component's.
    UsageError for its globs that match nothing.
    """
    programs = [part.program for part in prepared]
    done = [part.compression for part in prepared if part.compression is not None]
    check_globs(selection, name, prepared)
    chunks, stem = [], stem or name
    for index, (program, part) in enumerate(zip(programs, prepared, strict=True), start=1):
        path = f"{stem}.mlpackage" if len(programs) == 1 else f"{stem}_chunk{index}.mlpackage"

        def report(written: int, total: int, label: str = path.removesuffix(".mlpackage")) -> None:
            if progress is not None:
                progress(label, written, total)

        package = write_placed(part.placed, stage / path, report)
        chunks.append(
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
    row = {} if selection is None else _compression(selection, done)
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
    if selection is None or selection.name in RECIPES:
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


def _compression(selection: Selection, done: Sequence[Compression]) -> dict[str, Any]:
    """For bundle.json: the recipe, the errors ‖stored − source‖ / ‖source‖, and what was left alone."""
    errors = {w.source.name: w.error for part in done for w in part.weights if w.error is not None}
    undivided = [name for part in done for name in part.undivided]
    row: dict[str, Any] = {"recipe": selection.name, "weights": len(errors)}
    if selection.name not in RECIPES:
        row["recipes"] = dict(sorted(Counter(w.recipe.name for part in done for w in part.weights).items()))
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        row["mean_error"] = round(sum(errors.values()) / len(errors), 6)
        row["largest_error"] = {"weight": worst, "error": round(errors[worst], 6)}
    return row | ({"undivided": undivided} if undivided else {})


def _specs(specs: Sequence[IOSpec]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(s.name, s.dtype, s.shape) for s in specs)
