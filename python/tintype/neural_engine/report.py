"""The forecast for a package: the share of the work that keeps the rules, and what does not, and where."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..run.program import FunctionOps, Op, read_program
from .chips import CHIPS, seconds
from .flops import flops
from .rules import check, padding

__all__ = ["Miss", "PackageReport", "inspect_package"]

#: Weights of a package, as float16 bytes before compression, that devices have loaded reliably.
MAX_CHUNK_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Miss:
    """Ops of one kind that break one rule for one reason: how many, how much of the work, and the first."""

    rule: str
    op: str
    reason: str
    count: int
    flops: int
    place: str


@dataclass(frozen=True)
class PackageReport:
    """The forecast for the function `main` of a package. FLOPs and bytes are those of one prediction.

    segments        pieces that go to the Neural Engine; each further one is a change of processor
    weight_bytes    as stored, compressed or not; `parameters` counts what they stand for
    value_bytes     activations read and written, if none stayed on the chip
    padding_bytes   what the Neural Engine's 64-byte rows add to the activations written
    roofline        chip → milliseconds at its published rates: no prediction is faster
    """

    ops: int
    flops: int
    clean_flops: int
    segments: int
    parameters: int
    weight_bytes: int
    value_bytes: int
    padding_bytes: int
    misses: tuple[Miss, ...]
    notes: tuple[str, ...]
    roofline: dict[str, float]

    @property
    def share(self) -> float:
        """The share of FLOPs in ops that break no rule, 0 … 1; 1 if there are none."""
        return self.clean_flops / self.flops if self.flops else 1.0

    def to_json(self) -> dict[str, Any]:
        """Everything, marked as a forecast."""
        return {"forecast": True, "clean_share": self.share, **asdict(self)}


def inspect_package(path: str | Path) -> PackageReport:
    """Hold every op of the package's `main` to the rules.

    Raises ModelFileError if a file is missing, ModelFormatError if it is damaged or is no ML Program.
    """
    return _report(read_program(path)[0])


def _report(function: FunctionOps) -> PackageReport:
    groups: dict[tuple[str, str, str], Miss] = {}
    total = clean = segments = 0
    engine = False
    for op in function.ops:
        if op.kind.startswith("constexpr_"):
            continue
        work, complaint = flops(function, op), check(function, op)
        total += work
        if complaint is None:
            clean += work
            segments += not engine
        else:
            key = (complaint.rule, op.kind, complaint.reason)
            known = groups.get(key, Miss(*key, 0, 0, op.place))
            groups[key] = Miss(*key, known.count + 1, known.flops + work, known.place)
        engine = complaint is None
    stored, parameters = _weights(function)
    values = sum(_value_bytes(function, op) for op in function.ops)
    return PackageReport(
        ops=sum(not op.kind.startswith("constexpr_") for op in function.ops),
        flops=total,
        clean_flops=clean,
        segments=segments,
        parameters=parameters,
        weight_bytes=stored,
        value_bytes=values,
        padding_bytes=sum(padding(t) for op in function.ops for _, t in op.outputs if t and t.floating),
        misses=tuple(sorted(groups.values(), key=lambda m: (-m.flops, m.rule, m.op, m.reason))),
        notes=tuple(_notes(parameters)),
        roofline={chip.name: 1000 * seconds(chip, total, stored) for chip in CHIPS},
    )


def _notes(parameters: int) -> Iterator[str]:
    size = 2 * parameters
    if size > MAX_CHUNK_BYTES:
        yield (
            f"{size / 1e9:.2f} GB of weights before compression in one package: above "
            f"{MAX_CHUNK_BYTES / 1e9:.0f} GB devices fail to load or to compile it"
        )


def _weights(function: FunctionOps) -> tuple[int, int]:
    """(bytes in the weight file, parameters that they stand for)."""
    stored = {n: c.tensor for n, c in function.constants.items() if c.stored and c.tensor is not None}
    consumed: set[str] = set()
    decompressed = 0
    for op in function.ops:
        if op.kind.startswith("constexpr_"):
            consumed.update(name for names in op.inputs.values() for name in names)
            decompressed += sum(t.elements for _, t in op.outputs if t is not None)
    plain = sum(t.elements for name, t in stored.items() if name not in consumed)
    return sum(t.bytes for t in stored.values()), plain + decompressed


def _value_bytes(function: FunctionOps, op: Op) -> int:
    """Bytes of the activations that an op reads and writes."""
    if op.kind.startswith("constexpr_"):
        return 0
    names = {name for bound in op.inputs.values() for name in bound if name not in function.constants}
    read = [function.tensors.get(name) for name in names]
    return sum(t.bytes for t in [*read, *(t for _, t in op.outputs)] if t is not None)
