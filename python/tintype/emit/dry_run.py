"""A conversion's plan: what would be written, its exact sizes, and what it would take, without writing it.

The graphs are built and laid out as a conversion does it, so sizes are exact; no weight is read. Seconds and
memory are estimates from the rates below.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import names
from ..bundle import Size
from ..compress import RECIPES, Selection, candidates, recipes_for
from ..errors import ConversionError, TintypeError
from ..layers import MAIN
from .apple_sd3 import PACKAGES, apple_programs, apple_recipes
from .components import PreparedProgram, check_globs, prepare_program
from .convert import packages_of, prepare
from .plan import Plan
from .staging import check_output

__all__ = ["ConversionPlan", "PackagePlan", "plan_conversion"]

#: The profile that is a bundle.
NATIVE = "native"

#: Bytes a second that reading, hashing and writing together are reckoned with: a plain SSD. Compressing goes
#: on at the same time.
DISK_RATE = 0.4e9
#: Roughly the seconds that compressing a million weights takes on two cores; a mixture as its slowest.
SECONDS_A_MILLION: dict[str, float] = {
    "int8": 0.005,
    "int4": 0.006,
    "palette4": 0.016,
    "palette6": 0.019,
    "palette8": 0.017,
}
SECONDS_A_MILLION |= dict.fromkeys(("mixed", names.AUTO), max(SECONDS_A_MILLION.values()))
#: Seconds before the first byte: importing coremltools and building graphs.
START_SECONDS = 3.0
#: What a conversion's memory of its own stays below, without and with compression.
PLAIN_MEMORY, COMPRESSING_MEMORY = 300_000_000, 1_000_000_000
#: Bytes of a weight in the packages that others are measured against.
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class PackagePlan:
    """One package: parameters, bytes of the weights in float16, bytes of the whole package. With `quantize`
    auto those are the most that it may take, in its own precision, and `smallest_bytes` the least."""

    component: str
    package: str
    functions: tuple[str, ...]
    recipe: str | None
    parameters: int
    float16_bytes: int
    package_bytes: int
    smallest_bytes: int


@dataclass(frozen=True)
class ConversionPlan:
    """`source_bytes` are those of the files that are read, `download_bytes` those of weights that are not in
    the Hub's cache; `disk_needed` are the bundle's, the download's where the cache lies on the same disk, and
    those of the float32 packages that `quantize` auto measures with; `disk_free` is None without an output;
    `obstacle` says why `convert` would refuse that output, and is empty where it would not."""

    family: str
    target: str
    precision: str
    sizes: tuple[Size, ...]
    packages: tuple[PackagePlan, ...]
    source_bytes: int
    download_bytes: int
    seconds: float
    peak_memory: int
    disk_needed: int
    disk_free: int | None
    obstacle: str = ""

    @property
    def bundle_bytes(self) -> int:
        """Bytes of all packages; with `quantize` auto, the most."""
        return sum(row.package_bytes for row in self.packages)

    @property
    def smallest_bytes(self) -> int:
        """The least bytes of all packages."""
        return sum(row.smallest_bytes for row in self.packages)

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.disk_free is None or self.disk_needed <= self.disk_free

    def to_json(self) -> dict[str, Any]:
        """Everything, bytes as numbers."""
        return asdict(self) | {
            "sizes": [vars(size).copy() for size in self.sizes],
            "bundle_bytes": self.bundle_bytes,
            "smallest_bytes": self.smallest_bytes,
            "fits": self.fits,
        }


def plan_conversion(
    source: "str | Path",
    output: "str | Path | None" = None,
    *,
    quantize: str | None = None,
    profile: str = NATIVE,
    overwrite: bool = False,
    **options: Any,
) -> ConversionPlan:
    """What `convert(source, output, quantize=…, …)` would write, without writing; with the profile
    "apple-sd3", what `export_apple_sd3` would.

    `options` are those that shape what is written. With `output`, its disk's free bytes are told, and what
    lies there in the way, given `overwrite`. What `quantize` auto will choose is not known before it has
    measured: the plan has the most and the least bytes, and the seconds of writing alone.
    Of a source on the Hugging Face Hub, configs, tokenizers and the headers of its weights are loaded. Raises
    what `convert` raises for the source and for choices that cannot be.
    """
    with outline_folder() as outline:
        plan = prepare(source, **options, outline=outline)
        if quantize == names.AUTO:
            rows = _auto_packages(plan, profile)
        else:
            rows = list(_packages(plan, profile, _recipes(plan, profile, quantize)))
        source_bytes = sum(path.stat().st_size for path in plan.source.files.values())
    compressing = sum(SECONDS_A_MILLION.get(row.recipe or "", 0.0) * row.parameters / 1e6 for row in rows)
    written = sum(row.package_bytes for row in rows)
    download = sum(plan.source.downloads.values())
    measured_with = FLOAT32_BYTES * sum(row.parameters for row in rows) if quantize == names.AUTO else 0
    loaded = download if download and output is not None and _holds_cache(Path(output)) else 0
    return ConversionPlan(
        family=plan.family.name,
        target=plan.target,
        precision=plan.precision,
        sizes=plan.sizes,
        packages=tuple(rows),
        source_bytes=source_bytes,
        download_bytes=download,
        seconds=round(START_SECONDS + max((source_bytes + written) / DISK_RATE, compressing), 1),
        peak_memory=COMPRESSING_MEMORY if compressing else PLAIN_MEMORY,
        disk_needed=written + loaded + measured_with,
        disk_free=None if output is None else _free(Path(output)),
        obstacle="" if output is None else _obstacle(Path(output), overwrite, profile),
    )


def _recipes(plan: Plan, profile: str, quantize: str | None) -> Mapping[str, Selection]:
    if profile == names.APPLE_SD3:
        return apple_recipes(plan, quantize)
    return recipes_for(quantize, plan.target, packages_of(plan.components))


def _packages(plan: Plan, profile: str, recipes: Mapping[str, Selection]) -> Iterator[PackagePlan]:
    """What is written with these recipes."""
    if profile == names.APPLE_SD3:
        for name, program in apple_programs(plan):
            part = prepare_program(program, recipes.get(name))
            yield from _component(name, [part], recipes.get(name), PACKAGES[name])
    else:
        for name, prepared in plan.finished(lambda name, p: prepare_program(p, recipes.get(name))):
            yield from _component(name, prepared, recipes.get(name), name)


def _auto_packages(plan: Plan, profile: str) -> list[PackagePlan]:
    """What `quantize` auto may write: as it is, and as the smallest candidate of every component."""
    if profile == names.APPLE_SD3:
        apple_recipes(plan, names.AUTO)
    order = {name: candidates(plan.target, name) for name in packages_of(plan.components)}
    smallest = {name: Selection.all(RECIPES[rows[0]]) for name, rows in order.items() if rows}
    rows = zip(_packages(plan, profile, {}), _packages(plan, profile, smallest), strict=True)
    return [replace(most, recipe=names.AUTO, smallest_bytes=least.package_bytes) for most, least in rows]


@contextmanager
def outline_folder() -> Iterator[Path]:
    """A folder for the outlines of repositories, which errors do not name."""
    with tempfile.TemporaryDirectory(prefix="tintype-plan-") as folder:
        try:
            yield Path(folder)
        except TintypeError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from error


def _component(
    name: str, prepared: Sequence[PreparedProgram], selection: Selection | None, package: str
) -> list[PackagePlan]:
    rows = []
    check_globs(selection, name, prepared)
    for number, part in enumerate(prepared, start=1):
        label = package if len(prepared) == 1 else f"{package}_chunk{number}"
        functions = tuple(part.program.functions) or (MAIN,)
        used = selection.name if selection is not None else None
        count, size = part.program.parameters, len(part.placed.model) + part.placed.layout.size
        rows.append(PackagePlan(name, label, functions, used, count, 2 * count, size, size))
    return rows


def _obstacle(output: Path, overwrite: bool, profile: str) -> str:
    """Why `output` cannot be written; empty if it can."""
    try:
        return _refusal(output, overwrite, profile)
    except OSError as error:
        return f"cannot write to {output.parent} ({error.strerror}): choose another output folder"


def _refusal(output: Path, overwrite: bool, profile: str) -> str:
    output = Path(os.path.realpath(output))
    place = _nearest(output.parent)
    if not place.is_dir():
        return f"cannot write to {output.parent} ({place} is not a folder): choose another output folder"
    # Permissions do not tell: root may write to /proc, and cannot.
    with tempfile.TemporaryDirectory(prefix=".tintype-plan-", dir=place):
        pass
    try:
        mark = names.PROFILE_FILE if profile == names.APPLE_SD3 else names.BUNDLE_FILE
        check_output(output, overwrite, mark)
    except ConversionError as error:
        return str(error)
    return ""


def _free(output: Path) -> int:
    """Free bytes where `output` will lie."""
    return shutil.disk_usage(_nearest(output.absolute().parent)).free


def _holds_cache(output: Path) -> bool:
    """Whether the Hub's cache is on the disk where `output` will lie."""
    from huggingface_hub.constants import HF_HUB_CACHE

    places = _nearest(output.absolute().parent), _nearest(Path(HF_HUB_CACHE).absolute())
    return places[0].stat().st_dev == places[1].stat().st_dev


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder
