"""From a checkpoint to a bundle: plan, build, write, publish."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from .. import names
from ..bundle import Bundle, Component, TensorSpec, Tokenizer
from ..compress import Recipe, recipes_for
from ..errors import UsageError
from ..layers import Compression, IOSpec, MILProgram, Precision, Target, compress_program
from ..weights import Source, download, is_repository, open_source
from .families import FAMILIES
from .package import Package, write_package
from .plan import PIPELINES, Plan
from .source_hashes import SourceHashes
from .staging import staged_folder
from .tokenizers import copy_clip_tokenizer, copy_t5_tokenizer

__all__ = ["Progress", "convert"]

#: Called with the complete bundle before it is published; what it raises leaves nothing behind.
Gate = Callable[[Bundle], object]

#: Called with (component, bytes of weights written, bytes of weights in all).
Progress = Callable[[str, int, int], None]

MAX_BATCH = 2


def convert(
    source: "str | Path",
    output: "str | Path",
    *,
    precision: Precision = "float16",
    size: tuple[int, int] | None = None,
    components: Sequence[str] | None = None,
    max_sequence_length: int | None = None,
    batch: int = 1,
    target: Target = "gpu",
    quantize: str | None = None,
    overwrite: bool = False,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    default_steps: int | None = None,
    default_guidance: float | None = None,
    progress: Progress | None = None,
    gate: Gate | None = None,
) -> Bundle:
    """Convert the checkpoint `source` into the bundle `output`, and return its description.

    `source` is a Hugging Face folder, or a publisher's single safetensors file, which has no tokenizers: then
    `tokenizers` names a Hugging Face folder of the same model that has them. `variant` ("fp16") chooses among
    the files of a Hugging Face folder. ORGANISATION/NAME (perhaps with /FILE.safetensors, perhaps with
    @REVISION), if there is no such folder, is loaded from the Hugging Face Hub.

    `size` is (width, height) in pixels, by default the model's own; `components` are names of
    `names.SELECTABLE_COMPONENTS`, by default all that the source has; `max_sequence_length` is T5's number of
    tokens, by default its tokenizer's, at most 256; `batch` 2 makes a denoiser that takes both rows of
    guidance at once; `target` lays the graphs out for the GPU and MLX ("gpu") or for the Neural Engine
    ("ane", float16 only), the bundle's interface being the same; `quantize` stores weights in fewer bits: a
    recipe, or COMPONENT=RECIPE, or several with commas between (`compress.recipes_for`).

    `default_steps` and `default_guidance` are what a run uses when its caller does not say, by default
    the family's. A distilled checkpoint such as Stable Diffusion 3.5 large turbo (4 steps, guidance 1) has
    the config of the model that it was distilled from, so it has to be told.

    `gate` is called with the complete bundle before it takes its place: it may raise, and add to bundle.json.

    The same input gives the same bytes. `output` is complete or not there: on any error, Ctrl-C included,
    what was written is removed. Raises UsageError (a choice that cannot be), CheckpointError (the source),
    ConversionError (the output, or values that do not fit).
    """
    _check_choices(precision, batch, target)
    folder = open_checkpoint(source, components, variant, tokenizers, progress)
    plan = Plan.make(
        folder,
        precision=precision,
        target=target,
        batch=batch,
        size=size,
        components=components,
        max_sequence_length=max_sequence_length,
        default_steps=default_steps,
        default_guidance=default_guidance,
    )
    output = Path(output)
    recipes = recipes_for(quantize, target, _packages(plan.components))
    rows = {}
    with staged_folder(output, overwrite=overwrite) as stage, SourceHashes() as hashes:
        for name, program in plan.programs():
            hashes.start(folder.files)
            rows[name] = _component(program, name, stage, recipes.get(name), progress)
        copied = _tokenizers(plan, stage)
        hashes.start(folder.files)
        bundle = _bundle(plan, rows, copied, hashes.result())
        (stage / names.BUNDLE_FILE).write_text(bundle.to_text(), encoding="utf-8")
        if gate is not None:
            gate(Bundle.read(stage))
    return Bundle.read(output)


def open_checkpoint(
    source: "str | Path",
    components: Sequence[str] | None,
    variant: str | None,
    tokenizers: "str | Path | None",
    progress: Progress | None = None,
) -> Source:
    """Open what `convert` takes as its source."""
    if is_repository(source):
        return _from_hub(str(source), components, variant, tokenizers, progress)
    return open_source(source, PIPELINES, variant=variant, tokenizers=tokenizers)


def _from_hub(
    repository: str,
    components: Sequence[str] | None,
    variant: str | None,
    tokenizers: "str | Path | None",
    progress: Progress | None,
) -> Source:
    """Load what is needed of a repository on the Hugging Face Hub, and open it."""

    def folders(index: Mapping[str, Any]) -> Sequence[str]:
        family = FAMILIES.get(str(index.get("_class_name")))
        return () if family is None else family.folders(components)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("download", done, total)

    found = download(repository, folders, variant=variant, report=report)
    folder = open_source(found.path, PIPELINES, variant=variant, tokenizers=tokenizers)
    folder.name = found.repository.split("/")[1]
    folder.origin = {"repository": found.repository, "revision": found.revision}
    return folder


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
    if isinstance(batch, bool) or batch not in range(1, MAX_BATCH + 1):
        raise UsageError(f"batch is {batch!r}, expected 1 (guidance in two calls) or 2 (in one)")


def _packages(components: Sequence[str]) -> tuple[str, ...]:
    """All components that are written: the modulation comes with the denoiser."""
    with_modulation = names.DENOISER in components
    return tuple(
        c for c in names.COMPONENTS if c in components or (c == names.MODULATION and with_modulation)
    )


def _component(
    program: MILProgram, name: str, stage: Path, recipe: Recipe | None, progress: Progress | None
) -> Component:
    path = f"{name}.mlpackage"

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(name, done, total)

    parameters, compression = program.parameters, None
    if recipe is not None:
        program, compression = compress_program(program, recipe)
    package: Package = write_package(program, stage / path, report)
    return Component(
        path=path,
        inputs=_specs(program.inputs),
        outputs=_specs(program.outputs),
        parameters=parameters,
        weight_bytes=package.weight_bytes,
        sha256=package.sha256,
        compression=_compression(compression) if compression is not None else {},
    )


def _compression(done: Compression) -> dict[str, Any]:
    """For bundle.json: the recipe, the errors ‖stored − source‖ / ‖source‖, and what was left alone."""
    errors = {w.source.name: w.error for w in done.weights if w.error is not None}
    row: dict[str, Any] = {"recipe": done.recipe.name, "weights": len(errors)}
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        row["mean_error"] = round(sum(errors.values()) / len(errors), 6)
        row["largest_error"] = {"weight": worst, "error": round(errors[worst], 6)}
    return row | ({"undivided": list(done.undivided)} if done.undivided else {})


def _specs(specs: Sequence[IOSpec]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(s.name, s.dtype, s.shape) for s in specs)


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


def _bundle(
    plan: Plan,
    components: Mapping[str, Component],
    tokenizers: Mapping[str, Tokenizer],
    files: Mapping[str, str],
) -> Bundle:
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
        source={"layout": plan.source.layout, **plan.source.origin, "files": files},
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
