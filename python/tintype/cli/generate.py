"""`tintype generate`: a prompt in, a picture out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .output import backend_option, echo_json, progress_bar, size_option, units_option
from .picture import picture_settings
from .statistics import run_text, stats_option

if TYPE_CHECKING:
    from ..pipeline import GenerationRequest, GenerationResult, Step

__all__ = ["generate"]


@click.command(short_help="Draw a picture.")
@click.argument("prompt", required=False)
@click.option(
    "--from",
    "picture",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Take prompt and settings from a picture that tintype wrote; what else is given replaces them.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="Bundle made by `tintype convert`. Without it: the embedded model.",
)
@click.option("--negative-prompt", help="What the picture should not show.")
@click.option("--steps", type=int, help="Denoising steps. [default: the model's]")
@click.option(
    "--guidance-scale",
    type=float,
    help="How strongly the prompt is followed; 1 or less: without guidance. [default: the model's]",
)
@click.option("--seed", type=int, help="0 to 4294967295. [default: a random one, which is printed]")
@click.option(
    "--generator",
    type=click.Choice(["numpy", "torch", "philox"]),
    help="What draws the noise from the seed: torch as diffusers on the CPU, philox as PyTorch on CUDA. "
    "[default: numpy]",
)
@click.option(
    "--count",
    type=int,
    help="How many pictures; the seed's noise continues from one to the next. [default: 1]",
)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="Picture of the model's size to begin with, instead of noise.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    help="White where --image is drawn anew, black where it stays. [default: all is drawn anew]",
)
@click.option(
    "--strength",
    type=float,
    help="How far the picture may leave --image, above 0 up to 1. [default: 0.6]",
)
@size_option("One of the model's sizes. [default: the model's first]")
@backend_option
@units_option
@click.option("--no-t5", is_flag=True, help="Run as if the model had no T5 text encoder.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="out.png",
    show_default=True,
    help="File to write; a PNG carries the settings. Several are numbered, out-1.png. "
    "Existing files are replaced.",
)
@click.option(
    "--preview-folder",
    type=click.Path(path_type=Path),
    help="Also write a small preview of every step, as PNG files, into this folder.",
)
@click.option(
    "--reduce-memory", is_flag=True, help="Free each model when it is done, the text encoders before drawing."
)
@stats_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print settings, backends and timings as JSON; a list of several."
)
def generate(
    prompt: str | None,
    picture: Path | None,
    model: Path | None,
    output: Path,
    backend: str,
    units: str,
    no_t5: bool,
    preview_folder: Path | None,
    reduce_memory: bool,
    stats: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Draw PROMPT.

    \b
    tintype generate "a red circle above a blue square"
    tintype generate "a photo of a cat" --model sd3.bundle --seed 7 -o cat.png
    tintype generate --from cat.png --model sd3.bundle --steps 50 -o better.png
    tintype generate "a photo of a dog" --model sd3.bundle --image cat.png --strength 0.7
    """
    from ..pipeline import Conditioned, GenerationResult, Pipeline, Step
    from ..pipeline.image import check_target, save_image

    check_target(output)
    if preview_folder is not None:
        if not preview_folder.is_dir():
            raise UsageError(f"the folder {preview_folder} does not exist: make it, or name another one")
        settings["preview_interval"] = 1
    if stats:
        settings["statistics"] = True
    if no_t5:
        settings["use_t5"] = False
    request, drawn_by = _request(prompt, picture, settings)
    results: list[GenerationResult] = []
    with progress_bar(quiet or as_json) as progress:
        bundle = model if model is not None else _embedded(progress)
        pipeline = Pipeline.load(bundle, backend, units, reduce_memory)
        if drawn_by not in (None, pipeline.bundle.name):
            click.echo(
                f"tintype: warning: {picture} was drawn by {drawn_by}, this is {pipeline.bundle.name}",
                err=True,
            )
        progress("reading the prompt", 0, 1)
        for event in pipeline.steps(request):
            if isinstance(event, Conditioned):
                progress("drawing", 0, event.schedule.steps)
            elif isinstance(event, Step):
                last = event.number == event.steps
                progress("decoding" if last else "drawing", event.number, event.steps)
                if preview_folder is not None and event.preview is not None:
                    save_image(event.preview, preview_folder / _preview_name(event, request.count), {})
            elif isinstance(event, GenerationResult):
                # Written as they come: those that are done stay if a later one fails.
                event.save(_numbered(output, event, request.count))
                results.append(event)
    if as_json:
        rows = [_json(result, _numbered(output, result, request.count)) for result in results]
        echo_json(rows if len(rows) > 1 else rows[0])
    elif not quiet:
        _print_stages(results[0])
        for result in results:
            _print(result, _numbered(output, result, request.count))
        if results[-1].statistics is not None:
            click.echo(run_text(results[-1].statistics))
    pipeline.close()


def _request(
    prompt: str | None, picture: Path | None, settings: dict[str, Any]
) -> "tuple[GenerationRequest, str | None]":
    """What the command line asks for, and the model that drew the picture it is taken from."""
    from ..pipeline import GenerationRequest, request_of

    given = {name: value for name, value in settings.items() if value is not None}
    if picture is None:
        if prompt is None:
            raise click.MissingParameter(param_hint="'PROMPT'", param_type="argument")
        return GenerationRequest(prompt, **given), None
    found = picture_settings(picture)
    if prompt is not None:
        given["prompt"] = prompt
    return replace(request_of(found, given.get("image"), given.get("mask")), **given), found.get("model")


def _numbered(output: Path, result: "GenerationResult", count: int) -> Path:
    """out.png of several pictures is out-1.png, out-2.png, …"""
    number = result.settings.image_index + 1
    return output if count == 1 else output.with_name(f"{output.stem}-{number}{output.suffix}")


def _preview_name(step: "Step", count: int) -> str:
    """step-01.png, or 2-step-01.png of the second of several pictures."""
    picture = f"{step.image_index + 1}-" if count > 1 else ""
    return f"{picture}step-{step.number:0{len(str(step.steps))}}.png"


def _embedded(progress: Any) -> Any:
    from ..embedded import embedded_bundle

    return embedded_bundle(
        progress=lambda what, done, total: progress(f"preparing the embedded model: {what}", done, total)
    )


def _json(result: "GenerationResult", output: Path) -> dict[str, Any]:
    cost = result.statistics
    return {
        "output": str(output),
        "settings": result.settings.to_json(),
        "stages": {name: vars(stage) for name, stage in result.stages.items()},
        "timings": vars(result.timings),
        **({} if cost is None else {"statistics": {name: stage.to_json() for name, stage in cost.items()}}),
    }


def _print_stages(result: "GenerationResult") -> None:
    if len(set(result.stages.values())) == 1:
        stage = next(iter(result.stages.values()))
        click.echo(f"{', '.join(result.stages)} on {stage.backend} ({stage.reason})")
    else:
        for name, stage in result.stages.items():
            click.echo(f"{name} on {stage.backend} ({stage.reason})")


def _print(result: "GenerationResult", output: Path) -> None:
    settings = result.settings
    seed = "the given noise" if settings.seed is None else f"seed {settings.seed}"
    click.echo(
        f"{output}: {settings.width}x{settings.height}, {settings.steps} steps, "
        f"guidance {settings.guidance_scale:g}, {seed}"
    )
    parts = [f"{part.replace('_', ' ')} {seconds:.2f}" for part, seconds in vars(result.timings).items()]
    click.echo(f"seconds: {', '.join(parts)}")
