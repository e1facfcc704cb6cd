"""A conversion's plan: what would be written, its exact sizes, and what it would take, without writing it.

The graphs are built and laid out as a conversion does it, so sizes are exact; no weight is read. Seconds and
memory are estimates from the rates below.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import names
from ..bundle import Size
from ..compress import Selection, recipes_for
from ..errors import UsageError
from ..layers import MAIN, MILProgram
from ._milproto import model_bytes
from .components import compressed_programs
from .convert import packages_of, prepare
from .weight_file import WeightLayout

__all__ = ["ConversionPlan", "PackagePlan", "plan_conversion"]

#: Bytes a second that reading, hashing and writing together are reckoned with: a plain SSD. Compressing goes
#: on at the same time.
DISK_RATE = 0.4e9
#: Roughly the seconds that compressing a million weights takes on two cores; a mixture as its slowest.
SECONDS_A_MILLION = {"int8": 0.013, "int4": 0.014, "palette4": 0.035, "palette6": 0.05, "palette8": 0.07}
SECONDS_A_MILLION["mixed"] = max(SECONDS_A_MILLION.values())
#: Seconds before the first byte: importing coremltools and building graphs.
START_SECONDS = 3.0
#: What a conversion's memory of its own stays below, without and with compression.
PLAIN_MEMORY, COMPRESSING_MEMORY = 300_000_000, 1_000_000_000


@dataclass(frozen=True)
class PackagePlan:
    """One package: parameters, bytes of the weights in float16 and as stored, bytes of the whole package."""

    component: str
    package: str
    functions: tuple[str, ...]
    recipe: str | None
    parameters: int
    float16_bytes: int
    package_bytes: int


@dataclass(frozen=True)
class ConversionPlan:
    """`source_bytes` are those of the source's files that are read; `disk_free` is None without an output."""

    family: str
    target: str
    precision: str
    sizes: tuple[Size, ...]
    packages: tuple[PackagePlan, ...]
    source_bytes: int
    seconds: float
    peak_memory: int
    disk_free: int | None

    @property
    def bundle_bytes(self) -> int:
        """Bytes of all packages."""
        return sum(row.package_bytes for row in self.packages)

    @property
    def fits(self) -> bool:
        """Whether the disk has room for the bundle."""
        return self.disk_free is None or self.bundle_bytes <= self.disk_free

    def to_json(self) -> dict[str, Any]:
        """Everything, bytes as numbers."""
        return asdict(self) | {
            "sizes": [vars(size).copy() for size in self.sizes],
            "bundle_bytes": self.bundle_bytes,
            "fits": self.fits,
        }


def plan_conversion(
    source: "str | Path", output: "str | Path | None" = None, *, quantize: str | None = None, **options: Any
) -> ConversionPlan:
    """What `convert(source, output, quantize=…, …)` would write, without writing.

    `options` are those of `convert` that shape the bundle. With `output`, its disk's free bytes are told. A
    source on the Hugging Face Hub is downloaded, since its tensors' shapes are needed. Raises what `convert`
    raises for the source and for choices that cannot be.
    """
    if quantize == names.AUTO:
        raise UsageError("quantize: auto measures what it writes, which a plan does not: name a recipe")
    plan = prepare(source, **options)
    recipes = recipes_for(quantize, plan.target, packages_of(plan.components))
    rows: list[PackagePlan] = []
    for name, programs in plan.programs():
        rows += _packages(name, programs, recipes.get(name))
    compressing = sum(SECONDS_A_MILLION.get(row.recipe or "", 0.0) * row.parameters / 1e6 for row in rows)
    source_bytes = sum(path.stat().st_size for path in plan.source.files.values())
    written = sum(row.package_bytes for row in rows)
    return ConversionPlan(
        family=plan.family.name,
        target=plan.target,
        precision=plan.precision,
        sizes=plan.sizes,
        packages=tuple(rows),
        source_bytes=source_bytes,
        seconds=round(START_SECONDS + max((source_bytes + written) / DISK_RATE, compressing), 1),
        peak_memory=COMPRESSING_MEMORY if compressing else PLAIN_MEMORY,
        disk_free=None if output is None else _free(Path(output)),
    )


def _packages(name: str, programs: Sequence[MILProgram], selection: Selection | None) -> list[PackagePlan]:
    rows = []
    stored, _ = compressed_programs(programs, name, selection)
    for number, program in enumerate(stored, start=1):
        label = name if len(programs) == 1 else f"{name}_chunk{number}"
        functions = tuple(program.functions) or (MAIN,)
        layout = WeightLayout()
        size = len(model_bytes(program, layout))
        used = selection.name if selection is not None else None
        count = program.parameters
        rows.append(PackagePlan(name, label, functions, used, count, 2 * count, size + layout.size))
    return rows


def _free(output: Path) -> int:
    """Free bytes where `output` will lie: of its nearest folder that exists."""
    folder = output.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
