"""`tintype convert`: a checkpoint in, a bundle out."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..errors import UsageError
from ..names import APPLE_SD3, AUTO, QUANTIZE_RECIPES, SELECTABLE_COMPONENTS
from ..values import bytes_text
from .conversion_plan import show_plan
from .last_steps import checks, last_steps
from .neural_engine import share_option
from .output import byte_count, progress_bar, size_option

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..verify import AccuracyGate

__all__ = ["convert"]

QUANTIZE_HELP = (
    f"Store weights in fewer bits: {', '.join(QUANTIZE_RECIPES)}; for all (text encoders at 8 bits or more, "
    "the VAE left alone), or by component: denoiser=palette4,text_encoder_3=int8; or mixed:FILE, a JSON file "
    'with globs of weight names, {"denoiser": {"*.attn.*": "int8", "*": "palette4"}}, "none" to leave alone; '
    "or auto: for every component the smallest that keeps the gate, and the picture too, by measuring."
)


def _byte_count(context: click.Context, parameter: click.Parameter, value: str | None) -> "int | str | None":
    """`1GB`, `500MB`, `2GiB`, a number of bytes; none is no limit."""
    if value is None:
        return "default"
    if value.lower() == "none":
        return None
    return byte_count(value)


@click.command(short_help="Convert a checkpoint to a bundle.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="BUNDLE",
    help="Folder to make. It appears complete or not at all.",
)
@click.option("--precision", type=click.Choice(["float16", "float32"]), default="float16", show_default=True)
@click.option(
    "--target",
    type=click.Choice(["gpu", "ane"]),
    default="gpu",
    show_default=True,
    help="ane lays the graphs out for the Neural Engine, in float16.",
)
@click.option(
    "--profile",
    type=click.Choice(["native", APPLE_SD3]),
    default="native",
    show_default=True,
    help="apple-sd3 writes the folder that Apple's ml-stable-diffusion loads, instead of a bundle.",
)
@click.option("--quantize", metavar="RECIPES", help=QUANTIZE_HELP)
@size_option(
    "Picture size in pixels; several times for several sizes in one bundle, the first the default. "
    "[default: the checkpoint's]",
    multiple=True,
)
@click.option(
    "--max-chunk",
    metavar="BYTES",
    callback=_byte_count,
    help="Cut the denoiser into packages of at most this much weight as float16, such as 1GB; none for no "
    "limit. [default: 1GB with --target ane, else none]",
)
@click.option(
    "--components",
    metavar="A,B",
    help=f"Only these of: {', '.join(SELECTABLE_COMPONENTS)}. [default: all that the checkpoint has]",
)
@click.option("--max-sequence-length", type=int, help="Tokens that T5 reads. [default: the tokenizer's]")
@click.option(
    "--batch",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="2 makes a denoiser that takes both rows of guidance in one call.",
)
@click.option(
    "--variant",
    metavar="NAME",
    help="Which files of a Hugging Face folder, such as fp16, where there are such.",
)
@click.option(
    "--tokenizers",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER|ID",
    help="For single files: a Hugging Face folder, or the id of a model on the Hub, with its tokenizers.",
)
@click.option(
    "--lora",
    multiple=True,
    metavar="FILE[:SCALE]",
    help="Merge a LoRA (diffusers, PEFT or Kohya) into the weights; several add up. [default scale: 1]",
)
@click.option(
    "--default-steps",
    type=int,
    help="Steps of a run that does not say. [default: the family's]"
    " Name 4 for Stable Diffusion 3.5 large turbo.",
)
@click.option(
    "--default-guidance",
    type=float,
    help="Guidance scale of a run that does not say. [default: the family's]"
    " Name 1 for Stable Diffusion 3.5 large turbo.",
)
@click.option(
    "--verify/--no-verify",
    "measured",
    default=None,
    help="Compare the bundle with a float32 conversion before it takes its place, and record how close it is."
    " [default: where that is reckoned to take a minute at most]",
)
@click.option(
    "--no-gate",
    is_flag=True,
    help="Warn where a component or the picture is below 35 dB or a cosine of 0.999, instead of failing.",
)
@share_option(
    "--require-neural-engine",
    "Fail if a package has less of its work on the Neural Engine: by Core ML's plan on a Mac, else by the"
    " forecast of `inspect --neural-engine`.",
)
@click.option(
    "--self-test/--no-self-test",
    default=None,
    help="Record one step of the denoiser in the bundle, for runtimes to test themselves on first use."
    " [default: where a step takes seconds, up to 100 M parameters]",
)
@click.option(
    "--probe/--no-probe",
    default=None,
    help="Load every package and run it once, in a process of its own, and record how that went."
    " [default: where Core ML is Apple's, on Core ML]",
)
@click.option(
    "--previews/--no-previews",
    default=None,
    help="Fit the small pictures of the steps to the VAE and keep the map in the bundle; else the first run"
    " with previews fits it. [default: where it takes seconds]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written and what it takes; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the plan as JSON.")
@click.option(
    "--resume",
    is_flag=True,
    help="Take over the finished components that an interrupted conversion with the same choices left, and"
    " leave them if interrupted.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
def convert(
    source: Path,
    output: Path,
    precision: Literal["float16", "float32"],
    target: Literal["gpu", "ane"],
    profile: str,
    quantize: str | None,
    size: tuple[tuple[int, int], ...],
    max_chunk: "int | str | None",
    components: str | None,
    max_sequence_length: int | None,
    batch: int,
    variant: str | None,
    tokenizers: Path | None,
    lora: tuple[str, ...],
    default_steps: int | None,
    default_guidance: float | None,
    measured: bool | None,
    no_gate: bool,
    require_neural_engine: float | None,
    self_test: bool | None,
    probe: bool | None,
    previews: bool | None,
    dry_run: bool,
    as_json: bool,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Convert the checkpoint SOURCE to a bundle that Core ML and MLX run.

    SOURCE is a Hugging Face folder, the id of a model on the Hugging Face Hub (ORGANISATION/NAME), or a
    publisher's single file (sd3*.safetensors, flux1-*.safetensors with ae.safetensors beside it;
    --tokenizers is needed then). Exit code 1 if --dry-run finds that convert would refuse the output, or that
    the disk has no room for it.
    """
    from ..emit import convert as convert_checkpoint

    if as_json and not dry_run:
        raise UsageError("--json prints the plan of --dry-run: name both, or neither")
    if dry_run and require_neural_engine is not None:
        raise UsageError("--require-neural-engine holds what was written: leave --dry-run out, or the bar")
    chosen = None
    if components is not None:
        chosen = [name.strip() for name in components.split(",") if name.strip()]
    if profile != "native":
        shared: dict[str, Any] = {
            "precision": precision, "components": chosen, "quantize": quantize, "variant": variant,
            "tokenizers": tokenizers, "lora": lora, "size": size[0] if size else None,
        }  # fmt: skip
        refused = {
            "several --size": len(size) > 1 and "the pipeline opens models of one size",
            "--batch": batch == 2 and "its denoiser always takes both rows",
            "--target ane": target == "ane" and "its graphs are laid out as the pipeline's inputs are",
            "--max-chunk": max_chunk != "default" and "the pipeline opens the denoiser as one model",
            "--max-sequence-length": max_sequence_length is not None and "the pipeline reads 77 tokens of T5",
            "--resume": resume and "only bundles are resumed",
            "--default-steps": default_steps is not None and "a run's defaults are the pipeline's own",
            "--default-guidance": default_guidance is not None and "a run's defaults are the pipeline's own",
            "--self-test": self_test and "only Tintype's pipelines run it",
            "--previews": previews and "only Tintype's pipelines show them",
        }  # fmt: skip
        check_profile(profile, refused)
        if dry_run:
            return show_plan(source, output, {**shared, "profile": profile, "overwrite": overwrite}, as_json)
        with progress_bar(quiet) as progress, ExitStack() as stack:
            shared["progress"] = progress
            accuracy = _asked_gate(source, output, shared, measured, no_gate, stack)
            gate = checks(accuracy, require_neural_engine, probe, progress)
            folder = export_profile(source, output, {**shared, "overwrite": overwrite, "gate": gate})
        if not quiet:
            script = f"`sh {output / 'compile.sh'}`"
            click.echo(f"{output}: for Apple's ml-stable-diffusion; on a Mac, {script} compiles it")
            _show_checks(folder, accuracy)
        return 0
    with progress_bar(quiet) as progress:
        options: dict[str, Any] = {
            "precision": precision,
            "size": size or None,
            "max_chunk": max_chunk,
            "components": chosen,
            "max_sequence_length": max_sequence_length,
            "batch": batch,
            "target": target,
            "quantize": quantize,
            "variant": variant,
            "tokenizers": tokenizers,
            "lora": lora,
            "default_steps": default_steps,
            "default_guidance": default_guidance,
            "progress": progress,
        }
        if not dry_run:
            with ExitStack() as stack:
                accuracy = _asked_gate(source, output, options, measured, no_gate, stack)
                gate = last_steps(accuracy, self_test, previews, require_neural_engine, probe, progress)
                bundle = convert_checkpoint(
                    source, output, overwrite=overwrite, resume=resume, gate=gate, **options
                )
    if dry_run:
        return show_plan(source, output, {**options, "overwrite": overwrite}, as_json)
    if not quiet:
        weights = sum(component.weight_bytes for component in bundle.components.values())
        click.echo(
            f"{output}: {bundle.family}, {bundle.precision}, "
            f"{', '.join(f'{s.width}x{s.height}' for s in bundle.sizes)}, "
            f"{len(bundle.components)} components, {bytes_text(weights)}"
        )
        _show_checks(bundle, accuracy)
    return 0


def _show_checks(bundle: "Bundle", accuracy: "AccuracyGate | None") -> None:
    """What probes, gate and `--quantize auto` found."""
    from ..verify import failed_probes

    if accuracy is not None and accuracy.skipped:
        click.echo(accuracy.skipped)
    for backend, rows in bundle.accuracy.get("probes", {}).items():
        ran = len(rows) - len(failed_probes(bundle.accuracy, backend))
        click.echo(f"probed on {backend}: {ran} of {len(rows)} packages ran")
    for name, component in bundle.components.items():
        if "auto" in component.compression:
            click.echo(f"{name}: {tried_text(component.compression['auto'])}")


def _asked_gate(
    source: Path,
    output: Path,
    options: dict[str, Any],
    measured: bool | None,
    no_gate: bool,
    stack: ExitStack,
) -> "AccuracyGate | None":
    """The gate of a conversion with `options`, which for `--quantize auto` get the meter that it shares; None
    where nothing is to be measured."""
    from ..verify import AccuracyGate, Meter

    if measured is False and options["quantize"] != AUTO:
        return None
    files = {name: options[name] for name in ("variant", "tokenizers", "lora")}
    measure = None
    if options["quantize"] == AUTO:
        choices = {name: options[name] for name in ("components", "batch") if name in options}
        options["measure"] = meter = stack.enter_context(
            Meter(source, **choices, **files, progress=options["progress"])
        )
        measure = meter.accuracy
    return AccuracyGate(
        source,
        output,
        force=bool(measured),
        only_warn=no_gate,
        measure=measure,
        progress=options["progress"],
        **files,
    )


def tried_text(tried: Sequence[dict[str, Any]]) -> str:
    """What `--quantize auto` tried for a component; the last is what it has."""
    rows = [tried_row(row) for row in tried]
    failed = f"; below the bars: {', '.join(rows[:-1])}" if len(rows) > 1 else ""
    return f"{rows[-1]}{failed}"


def tried_row(row: Mapping[str, Any]) -> str:
    """One of them: its own numbers, and the picture's where it was given up for those."""
    if "refused" in row:
        return f"{row['recipe']} cannot hold its weights"
    text = f"{row['recipe']} {row['psnr']:.1f} dB and {row['cosine']:.5f}"
    picture = row.get("picture")
    return text if picture is None else f"{text} (picture {picture['psnr']:.1f} and {picture['cosine']:.5f})"


def check_profile(profile: str, refused: Mapping[str, Any]) -> None:
    """UsageError for options of `refused` with a reason."""
    for option, reason in refused.items():
        if reason:
            raise UsageError(
                f"{option} does not go with --profile {profile}: {reason}; leave one of them out"
            )


def export_profile(source: Path, output: Path, options: Mapping[str, Any]) -> "Bundle":
    """Write the folder for Apple's pipeline, and read its description."""
    from ..apple_folder import AppleFolder
    from ..emit.apple_sd3 import export_apple_sd3

    return AppleFolder.read(export_apple_sd3(source, output, **options))
