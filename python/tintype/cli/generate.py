"""`tintype generate`: a prompt in, a picture out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import backend_option, echo_json, progress_bar, size_option, units_option

if TYPE_CHECKING:
    from ..pipeline import GenerationResult

__all__ = ["generate"]


@click.command(short_help="Draw a picture.")
@click.argument("prompt")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="Bundle made by `tintype convert`. Without it: the embedded model.",
)
@click.option("--negative-prompt", default="", help="What the picture should not show.")
@click.option("--steps", type=int, help="Denoising steps. [default: the model's]")
@click.option(
    "--guidance-scale",
    type=float,
    help="How strongly the prompt is followed; 1 or less: without guidance. [default: the model's]",
)
@click.option("--seed", type=int, help="0 to 4294967295. [default: a random one, which is printed]")
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
    help="File to write; a PNG carries the settings. An existing file is replaced.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print settings, backends and timings as JSON.")
def generate(
    prompt: str,
    model: Path | None,
    output: Path,
    backend: str,
    units: str,
    no_t5: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Draw PROMPT.

    \b
    tintype generate "a red circle above a blue square"
    tintype generate "a photo of a cat" --model sd3.bundle --seed 7 -o cat.png
    """
    from ..pipeline import Conditioned, GenerationResult, Pipeline, Step
    from ..pipeline.image import check_target

    check_target(output)
    with progress_bar(quiet or as_json) as progress:
        bundle = model if model is not None else _embedded(progress)
        pipeline = Pipeline.load(bundle, backend, units)
        progress("reading the prompt", 0, 1)
        for event in pipeline.steps(prompt, use_t5=not no_t5, **settings):
            if isinstance(event, Conditioned):
                progress("drawing", 0, event.settings.steps)
            elif isinstance(event, Step):
                last = event.number == event.steps
                progress("decoding" if last else "drawing", event.number, event.steps)
            elif isinstance(event, GenerationResult):
                result = event
    result.save(output)
    if as_json:
        echo_json(_json(result, output))
    elif not quiet:
        _print(result, output)
    pipeline.close()


def _embedded(progress: Any) -> Any:
    from ..embedded import embedded_bundle

    return embedded_bundle(
        progress=lambda what, done, total: progress(f"preparing the embedded model: {what}", done, total)
    )


def _json(result: "GenerationResult", output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "settings": result.settings.to_json(),
        "stages": {name: vars(stage) for name, stage in result.stages.items()},
        "timings": vars(result.timings),
    }


def _print(result: "GenerationResult", output: Path) -> None:
    settings = result.settings
    if len(set(result.stages.values())) == 1:
        stage = next(iter(result.stages.values()))
        click.echo(f"{', '.join(result.stages)} on {stage.backend} ({stage.reason})")
    else:
        for name, stage in result.stages.items():
            click.echo(f"{name} on {stage.backend} ({stage.reason})")
    seed = "the given noise" if settings.seed is None else f"seed {settings.seed}"
    click.echo(
        f"{output}: {settings.width}x{settings.height}, {settings.steps} steps, "
        f"guidance {settings.guidance_scale:g}, {seed}"
    )
    parts = [f"{part.replace('_', ' ')} {seconds:.2f}" for part, seconds in vars(result.timings).items()]
    click.echo(f"seconds: {', '.join(parts)}")
