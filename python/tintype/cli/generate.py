"""`tintype generate`: a prompt in, a picture out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .arrays import ArrayFiles, array_options
from .drawing import Drawn, draw
from .output import (
    byte_count,
    echo_json,
    progress_bar,
    size_option,
    stage_options,
    time_box_option,
)
from .picture import picture_settings
from .prompts import Job, read_jobs
from .statistics import stats_option

__all__ = ["generate"]


def _budget(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else byte_count(value)


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
@click.option(
    "--prompt-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw every line of a text file (-: the standard input): a prompt, or a JSON object with a prompt"
    ' and other settings, {"prompt": "a cat", "seed": 7, "output": "cat.png"}. Files are numbered by line.',
)
@click.option("--resume", is_flag=True, help="Leave out what --prompt-file has drawn already, by its files.")
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
    help="Picture to begin with, instead of noise; of the model's size, unless --resize is given.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    help="White where --image is drawn anew, black where it stays; of its size. [default: all is drawn anew]",
)
@click.option(
    "--resize",
    type=click.Choice(["fill", "stretch"]),
    help="What becomes of an --image of another size than the model's: fill scales it and cuts off what is"
    " too wide or too high, stretch scales each side. [default: an error]",
)
@click.option(
    "--strength",
    type=float,
    help="How far the picture may leave --image, above 0 up to 1. [default: 0.6]",
)
@size_option("One of the model's sizes. [default: the model's first]")
@stage_options
@time_box_option
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
@array_options
@click.option(
    "--preview-folder",
    type=click.Path(path_type=Path),
    help="Also write a small preview of every step, as PNG files, into this folder.",
)
@click.option(
    "--reduce-memory", is_flag=True, help="Free each model when it is done, the text encoders before drawing."
)
@click.option(
    "--memory-budget",
    metavar="BYTES",
    callback=_budget,
    help="Weights that may be loaded at a time, such as 6GB or 800MB; the models that were not used for"
    " longest make room. [default: no limit]",
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
    backend: Any,
    units: Any,
    time_box: float | None,
    no_t5: bool,
    latents_out: Path | None,
    noise_out: Path | None,
    preview_folder: Path | None,
    prompt_file: Path | None,
    resume: bool,
    reduce_memory: bool,
    memory_budget: int | None,
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
    tintype generate --prompt-file prompts.txt --model sd3.bundle --resume -o pictures/out.png
    """
    from ..pipeline import Pipeline
    from ..pipeline.image import check_target

    check_target(output)
    arrays = ArrayFiles(latents_out, noise_out)
    arrays.check(output)
    if prompt_file is not None and arrays != ArrayFiles(None, None):
        raise UsageError("--latents-out and --noise-out are of one PROMPT: leave --prompt-file out, or them")
    if preview_folder is not None:
        if not preview_folder.is_dir():
            raise UsageError(f"the folder {preview_folder} does not exist: make it, or name another one")
        settings["preview_interval"] = 1
    if stats:
        settings["statistics"] = True
    if no_t5:
        settings["use_t5"] = False
    if resume and prompt_file is None:
        raise UsageError(
            "--resume leaves out what --prompt-file has drawn: name a file of prompts, or leave it out"
        )
    jobs, drawn_by = _jobs(prompt, picture, prompt_file, output, settings)
    found = len(jobs)
    if resume:
        jobs = [job for job in jobs if not all(path.is_file() for path in job.outputs)]
    results: list[Drawn] = []
    with progress_bar(quiet or as_json) as progress:
        bundle = model if model is not None else _embedded(progress)
        with Pipeline.load(bundle, backend, units, reduce_memory, memory_budget, time_box) as pipeline:
            if drawn_by not in (None, pipeline.bundle.name):
                click.echo(
                    f"tintype: warning: {picture} was drawn by {drawn_by}, this is {pipeline.bundle.name}",
                    err=True,
                )
            total = sum(job.request.count for job in jobs)
            try:
                for drawn in draw(pipeline, jobs, progress, preview_folder, arrays):
                    results.append(drawn)
            except BaseException:
                if len(jobs) > 1 and results:
                    done = f"{len(results)} of {total} pictures are drawn"
                    click.echo(f"tintype: {done}; with --resume the same command goes on", err=True)
                raise
    if as_json:
        rows = [result.to_json() for result in results]
        echo_json(rows if prompt_file is not None or len(rows) != 1 else rows[0])
    elif not quiet:
        if len(jobs) < found:
            click.echo(f"{found - len(jobs)} of {found} were drawn already")
        for index, result in enumerate(results):
            if index == 0:
                click.echo(result.stages_text())
            click.echo(result.text())


def _jobs(
    prompt: str | None, picture: Path | None, prompt_file: Path | None, output: Path, settings: dict[str, Any]
) -> tuple[list[Job], str | None]:
    """What the command line asks for, and the model that drew the picture it is taken from."""
    from ..pipeline import GenerationRequest, request_of

    given = {name: value for name, value in settings.items() if value is not None}
    if prompt_file is not None:
        if prompt is not None or picture is not None:
            raise UsageError("--prompt-file names all prompts: leave PROMPT and --from out")
        return read_jobs(prompt_file, GenerationRequest("", **given), output), None
    if picture is None:
        if prompt is None:
            raise click.MissingParameter(param_hint="'PROMPT'", param_type="argument")
        return [Job(GenerationRequest(prompt, **given), output)], None
    found = picture_settings(picture)
    if prompt is not None:
        given["prompt"] = prompt
    request = replace(request_of(found, given.get("image"), given.get("mask")), **given)
    return [Job(request, output)], found.get("model")


def _embedded(progress: Any) -> Any:
    from ..embedded import embedded_bundle

    return embedded_bundle(
        progress=lambda what, done, total: progress(f"preparing the embedded model: {what}", done, total)
    )
