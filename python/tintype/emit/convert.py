"""From a checkpoint to a bundle: plan, build, write, publish."""

import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from .. import names
from ..bundle import Bundle, Component, Tokenizer
from ..compress import recipes_for
from ..errors import CheckpointError, UsageError
from ..layers import Precision, Target
from ..values import is_count, shown
from ..weights import (
    HubCheckpoint,
    LoraChoices,
    OriginalFiles,
    Source,
    check_variant,
    download,
    is_repository,
    open_loras,
    open_source,
    pipeline_class,
)
from .auto import Auto, Measure
from .components import Progress, write_components
from .families import FAMILIES, Family
from .loras import with_loras
from .plan import PIPELINES, Plan
from .resume import Record, fingerprint, matches
from .source_hashes import SourceHashes
from .staging import staged_folder
from .tokenizers import copy_clip_tokenizer, copy_t5_tokenizer

__all__ = ["Gate", "Progress", "convert", "described", "open_checkpoint", "packages_of", "prepare"]

#: Called with the complete bundle before it is published; what it raises leaves nothing behind.
Gate = Callable[[Bundle], object]

MAX_BATCH = 2

#: Devices fail to load or to compile larger packages (docs/neural_engine.md).
DEFAULT_ANE_CHUNK = 1_000_000_000


def convert(
    source: "str | Path",
    output: "str | Path",
    *,
    precision: Precision = "float16",
    size: tuple[int, int] | Sequence[tuple[int, int]] | None = None,
    components: Sequence[str] | None = None,
    max_sequence_length: int | None = None,
    batch: int = 1,
    target: Target = "gpu",
    quantize: str | None = None,
    max_chunk: int | str | None = "default",
    lora: LoraChoices = (),
    overwrite: bool = False,
    resume: bool = False,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    default_steps: int | None = None,
    default_guidance: float | None = None,
    progress: Progress | None = None,
    gate: Gate | None = None,
    measure: Measure | None = None,
) -> Bundle:
    """Convert the checkpoint `source` into the bundle `output`, and return its description.

    `source` is a Hugging Face folder, or a publisher's single safetensors file, which has no tokenizers: then
    `tokenizers` names a Hugging Face folder, or a repository, of the same model that has them. `variant`
    ("fp16") chooses among the files of a Hugging Face folder, where a component has such. ORGANISATION/NAME
    (perhaps with /FILE.safetensors, perhaps with @REVISION), if there is no such folder, is loaded from the
    Hugging Face Hub.

    `size` is (width, height) in pixels, or several of them, by default the model's own: several become
    functions of the same packages, which share their weights, the first the default one. `max_chunk` is the
    most bytes of weights (as float16, before compression) that a package of the denoiser may have, which is
    cut at block borders where it has more; None for no limit, "default" for a gigabyte where the target is
    "ane" and none elsewhere. `components` are names of `names.SELECTABLE_COMPONENTS`, by default all that the
    source has; `max_sequence_length` is T5's number of tokens, by default its tokenizer's, at most 256;
    `batch` 2 makes a denoiser that takes both rows of guidance at once; `target` lays the graphs out for the
    GPU and MLX ("gpu") or for the Neural Engine ("ane", float16 only), the bundle's interface being the same;
    `quantize` stores weights in fewer bits: a recipe, or COMPONENT=RECIPE, or several with commas between, or
    mixed:FILE (`compress.recipes_for`), or auto: for every component the smallest recipe with which `measure`
    (`verify.Meter`) passes it, and with all of them the picture.

    `default_steps` and `default_guidance` are what a run uses when its caller does not say, by default
    the family's. A distilled checkpoint such as Stable Diffusion 3.5 large turbo (4 steps, guidance 1) has
    the config of the model that it was distilled from, so it has to be told.

    `lora` names LoRA files in diffusers', PEFT's or Kohya's layout, which are merged into the weights while
    they stream: a path or "PATH:SCALE", or several of them and of (path, scale), which add up.

    `gate` is called with the complete bundle before it takes its place: it may raise, and add to bundle.json.
    `tintype.convert` takes `verify.AccuracyGate` where none is named (None: no gate): ConversionError for a
    bundle that is too far from float32; and a `verify.Meter` of its own where `quantize` auto needs one.

    `resume` takes over the finished components that an interrupted conversion of the same files with the same
    choices left, and leaves its own if it is interrupted, in the hidden folder beside `output`; the result is
    the same to the byte. A conversion that does not resume removes them.

    The same input gives the same bytes. `output` is complete or not there: on any error, Ctrl-C included,
    what was written is removed. Raises UsageError (a choice that cannot be), CheckpointError (the source),
    ConversionError (the output, or values that do not fit).
    """
    check_path("output", output)
    if not isinstance(quantize, str | None):
        raise UsageError(f"quantize is {quantize!r}, expected the name of a recipe, such as 'int8'")
    plan = prepare(
        source,
        precision=precision,
        size=size,
        components=components,
        max_sequence_length=max_sequence_length,
        batch=batch,
        target=target,
        max_chunk=max_chunk,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
        default_steps=default_steps,
        default_guidance=default_guidance,
        progress=progress,
    )
    folder = plan.source
    output = Path(output)
    if quantize == names.AUTO and measure is None:
        raise UsageError("quantize: auto has to measure: give convert a measure: verify.Meter(source)")
    recipes = {} if quantize == names.AUTO else recipes_for(quantize, target, packages_of(plan.components))
    # What a file of globs says, and not its name alone.
    mark = fingerprint(plan, f"{quantize}: {recipes}", _source_files(folder))

    def resumes(stage: Path) -> bool:
        return matches(stage, mark)

    staged = staged_folder(output, overwrite=overwrite, resumes=resumes if resume else None)
    with staged as stage, SourceHashes() as hashes:
        done = Record(stage, mark)
        done.restore()
        # Before the first weight, so that what is wrong with them is told at once.
        copied = _tokenizers(plan, stage)
        plan.open_weights()
        hashes.start(folder.files)
        auto: Auto | None = None
        if quantize == names.AUTO and measure is not None:

            def describe(components: Mapping[str, Component]) -> Bundle:
                return replace(described(plan, components, {}, {}), root=stage)

            auto = Auto(plan.target, plan.build, stage, describe, measure, progress)
        if auto is not None:
            for name, programs in plan.programs():
                if name not in done.finished:
                    done.add(name, auto.smallest(name, programs))
            auto.back_off(done.finished, done.add)
        else:
            write_components(plan, done, stage, recipes, progress)
        bundle = described(plan, done.finished, copied, hashes.result())
        (stage / names.BUNDLE_FILE).write_text(bundle.to_text(), encoding="utf-8")
        if gate is not None:
            gate(Bundle.read(stage))
        done.remove()
    return Bundle.read(output)


def _source_files(source: Source) -> Iterator[Path]:
    """Every file that the conversion may read; hidden ones are caches, or a bundle that is being made."""
    for root in (source.path, *((source.companion,) if source.companion is not None else ())):
        folder = root if root.is_dir() else root.parent
        for path in folder.rglob("*") if root.is_dir() else folder.iterdir():
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden:
                yield path


def prepare(
    source: "str | Path",
    *,
    precision: Precision = "float16",
    size: Any = None,
    components: Sequence[str] | None = None,
    max_sequence_length: int | None = None,
    batch: int = 1,
    target: Target = "gpu",
    max_chunk: int | str | None = "default",
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: LoraChoices = (),
    default_steps: int | None = None,
    default_guidance: float | None = None,
    progress: Progress | None = None,
    outline: Path | None = None,
) -> Plan:
    """Check the choices of `convert`, open the source and decide what is built; with `outline`, an empty
    folder, without loading weights from the Hub."""
    _check_types(source, components, variant, tokenizers)
    _check_choices(precision, batch, target)
    loras = open_loras(lora)
    try:
        plan = Plan.make(
            open_checkpoint(source, components, variant, tokenizers, progress, outline),
            precision=precision,
            target=target,
            batch=batch,
            sizes=_size_list(size),
            components=components,
            max_sequence_length=max_sequence_length,
            default_steps=default_steps,
            default_guidance=default_guidance,
            max_chunk=_chunk_limit(max_chunk, target),
        )
    except PermissionError as error:
        raise CheckpointError(
            f"{error.filename} cannot be read ({error.strerror}): check who may read it and its folder"
        ) from error
    return with_loras(plan, loras)


def open_checkpoint(
    source: "str | Path",
    components: Sequence[str] | None,
    variant: str | None,
    tokenizers: "str | Path | None",
    progress: Progress | None = None,
    outline: Path | None = None,
) -> Source:
    """Open what `convert` takes as its source; what is on the Hugging Face Hub is loaded, or only its
    `outline`."""
    found = None
    missing: dict[str, int] = {}
    if is_repository(source):
        found = _load(str(source), lambda family: family.folders(components), variant, progress, outline)
        missing |= {f"{found.repository}/{file}": size for file, size in found.missing.items()}
    place = source if found is None else found.path
    if tokenizers is not None and is_repository(tokenizers):
        alone = open_source(place, PIPELINES, variant=variant)

        def lacking(family: Family) -> Sequence[str]:
            return [folder for folder in family.folders(components) if not alone.has(folder)]

        if isinstance(alone, OriginalFiles):  # a folder takes none, as open_source says
            companion = _load(str(tokenizers), lacking, variant, progress, outline)
            tokenizers = companion.path
            missing |= {f"{companion.repository}/{file}": size for file, size in companion.missing.items()}
    opened = open_source(place, PIPELINES, variant=variant, tokenizers=tokenizers)
    if found is not None:
        opened.name = found.repository.split("/")[1]
        opened.origin = {"repository": found.repository, "revision": found.revision}
        if isinstance(opened, OriginalFiles):
            opened.offline = found.offline
    elif variant is not None and not isinstance(opened, OriginalFiles):
        check_variant(str(opened.path), (path.name for path in opened.path.glob("*/*")), variant)
    opened.downloads = missing
    return opened


def _load(
    repository: str,
    wanted: Callable[[Family], Sequence[str]],
    variant: str | None,
    progress: Progress | None,
    outline: Path | None,
) -> HubCheckpoint:
    """Load a repository on the Hugging Face Hub: of its family, the folders that are wanted."""

    def folders(index: Mapping[str, Any]) -> Sequence[str]:
        family = FAMILIES.get(pipeline_class(index))
        return () if family is None else wanted(family)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("download", done, total)

    return download(repository, folders, variant=variant, report=report, outline=outline)


def _size_list(size: Any) -> list[tuple[int, int]]:
    """One size, several or none as a list; UsageError for anything else."""
    if size is None:
        return []
    rows = [size] if isinstance(size, tuple | list) and size and isinstance(size[0], int) else size
    if not isinstance(rows, tuple | list) or not rows:
        raise UsageError(f"size is {shown(size)}, expected (width, height) in pixels, or several")
    for row in rows:
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise UsageError(f"size is {shown(row)}, expected (width, height) in pixels")
    return [(row[0], row[1]) for row in rows]


def _chunk_limit(wanted: Any, target: Target) -> int | None:
    """Bytes of weights in a package of the denoiser."""
    if wanted == "default":
        return DEFAULT_ANE_CHUNK if target == "ane" else None
    if wanted is None:
        return None
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted <= 0:
        raise UsageError(
            f"max_chunk is {shown(wanted)}, expected a positive number of bytes, or None for no limit"
        )
    return wanted


def check_path(name: str, value: Any) -> None:
    """UsageError unless the argument `name` is a path."""
    if not isinstance(value, str | os.PathLike) or "\0" in str(value):
        raise UsageError(f"{name} is {shown(value)}, expected a path")


def _check_types(source: Any, components: Any, variant: Any, tokenizers: Any) -> None:
    check_path("source", source)
    if tokenizers is not None:
        check_path("tokenizers", tokenizers)
    if not isinstance(variant, str | None):
        raise UsageError(f"variant is {variant!r}, expected a word in the files' names, such as 'fp16'")
    if components is not None and (isinstance(components, str) or not isinstance(components, Iterable)):
        raise UsageError(f"components is {components!r}, expected several names, such as ['vae_decoder']")


def _check_choices(precision: str, batch: int, target: str) -> None:
    if precision not in get_args(Precision):
        raise UsageError(f"precision is {precision!r}, expected one of {', '.join(get_args(Precision))}")
    if target not in get_args(Target):
        raise UsageError(f"target is {target!r}, expected one of {', '.join(get_args(Target))}")
    if target == "ane" and precision != "float16":
        raise UsageError(
            f"precision is {precision!r}, but the Neural Engine computes in float16 only: "
            "leave the precision out, or choose target gpu"
        )
    if not is_count(batch) or batch > MAX_BATCH:
        raise UsageError(f"batch is {shown(batch)}, expected 1 (guidance in two calls) or 2 (in one)")


def packages_of(components: Sequence[str]) -> tuple[str, ...]:
    """All components that are written: the modulation comes with the denoiser."""
    with_modulation = names.DENOISER in components
    return tuple(
        c for c in names.COMPONENTS if c in components or (c == names.MODULATION and with_modulation)
    )


def _tokenizers(plan: Plan, stage: Path) -> dict[str, Tokenizer]:
    """Copy the tokenizers of the selected text encoders."""
    tokenizers = {
        part.tokenizer: copy_clip_tokenizer(plan.source, part, stage, plan.context.clip_tokens)
        for component, part in plan.family.clips.items()
        if component in plan.components
    }
    if names.TEXT_ENCODER_3 in plan.components:
        part = plan.family.t5
        tokenizers[part.tokenizer] = copy_t5_tokenizer(plan.source, part, stage, plan.context.t5_tokens)
    return tokenizers


def described(
    plan: Plan,
    components: Mapping[str, Component],
    tokenizers: Mapping[str, Tokenizer],
    files: Mapping[str, str],
) -> Bundle:
    """The description of the plan's bundle with these components, tokenizers and hashes of source files."""
    merged = {"lora": [lora.to_json() for lora in plan.loras]} if plan.loras else {}
    return Bundle(
        name=_name(plan.source),
        family=plan.family.name,
        target=plan.target,
        precision=plan.precision,
        size=plan.size,
        latent=plan.latent,
        schedule=plan.schedule,
        context=plan.context,
        pooled=plan.pooled,
        defaults=plan.defaults,
        components=components,
        tokenizers=tokenizers,
        config=plan.config(),
        resolutions=plan.resolutions,
        source={"layout": plan.source.layout, **plan.source.origin, "files": files, **merged},
        tools=_tools(),
    )


def _name(source: Source) -> str:
    """The source folder's name, or the one in model_index.json's `tintype` object."""
    wishes: Any = source.index.get("tintype")
    if isinstance(wishes, dict) and isinstance(wishes.get("name"), str):
        return str(wishes["name"])
    return source.name.strip("._") or "model"


def _tools() -> dict[str, str]:
    tools = {}
    for package in ("tintype", "coremltools"):
        try:
            tools[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from the source tree
            tools[package] = "uninstalled"
    return tools
