"""Drawing jobs one after another: progress, files as they are finished, and what is said of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TintypeError
from .arrays import ArrayFiles
from .output import Progress
from .prompts import Job
from .statistics import run_text

if TYPE_CHECKING:
    from ..pipeline import GenerationResult, Pipeline, Step

__all__ = ["Drawn", "draw"]


@dataclass(frozen=True)
class Drawn:
    """A picture's file, and all of its result but pixels and latents, which would fill the memory."""

    output: Path
    result: "GenerationResult"

    @classmethod
    def saved(cls, result: "GenerationResult", output: Path) -> "Drawn":
        """Write the picture."""
        from dataclasses import replace

        result.save(output)
        empty: Any = None
        return cls(output, replace(result, image=empty, latents=empty, decoded=empty))

    def to_json(self) -> dict[str, Any]:
        """Output, settings, stages, timings and, if they were asked for, statistics."""
        cost = self.result.statistics
        return {
            "output": str(self.output),
            "settings": self.result.settings.to_json(),
            "stages": {name: vars(stage) for name, stage in self.result.stages.items()},
            "timings": vars(self.result.timings),
            **(
                {}
                if cost is None
                else {"statistics": {name: stage.to_json() for name, stage in cost.items()}}
            ),
        }

    def stages_text(self) -> str:
        """What ran the stages, and why that."""
        stages = self.result.stages
        if len(set(stages.values())) == 1:
            stage = next(iter(stages.values()))
            return f"{', '.join(stages)} on {stage.backend} ({stage.reason})"
        return "\n".join(f"{name} on {stage.backend} ({stage.reason})" for name, stage in stages.items())

    def text(self) -> str:
        """Two lines: what was drawn, and how long it took; then the statistics."""
        settings = self.result.settings
        steps = f"{settings.steps} step{'' if settings.steps == 1 else 's'}"
        seed = "the given noise" if settings.seed is None else f"seed {settings.seed}"
        timings = vars(self.result.timings)
        parts = [f"{part.replace('_', ' ')} {seconds:.2f}" for part, seconds in timings.items()]
        lines = [
            f"{self.output}: {settings.width}x{settings.height}, {steps}, "
            f"guidance {settings.guidance_scale:g}, {seed}",
            f"seconds: {', '.join(parts)}",
        ]
        if self.result.statistics is not None:
            lines.append(run_text(self.result.statistics))
        return "\n".join(lines)


def draw(
    pipeline: "Pipeline",
    jobs: Sequence[Job],
    progress: Progress,
    preview_folder: Path | None,
    arrays: ArrayFiles,
) -> Iterator[Drawn]:
    """Every picture as it is finished and written. All requests are checked before the first is drawn.

    `arrays` are of one job: those of several would have the same files.
    """
    runs = [_told(job, lambda job=job: pipeline.steps(job.request)) for job in jobs]  # type: ignore[misc]
    for index, (job, events) in enumerate(zip(jobs, runs, strict=True)):
        many = len(jobs) > 1

        def report(what: str, done: float, total: float, index: int = index, many: bool = many) -> None:
            if many:
                what, done, total = f"{index + 1} of {len(jobs)}: {what}", index + done / total, len(jobs)
            progress(what, done, total)

        yield from _pictures(job, events, report, preview_folder, arrays)


def _pictures(
    job: Job,
    events: Iterator[Any],
    progress: Progress,
    preview_folder: Path | None,
    arrays: ArrayFiles,
) -> Iterator[Drawn]:
    from ..pipeline import Conditioned, GenerationResult, Step
    from ..pipeline.image import save_image

    noise: Any = None
    progress("reading the prompt", 0, 1)
    while (event := _told(job, lambda: next(events, None))) is not None:
        if isinstance(event, Conditioned):
            noise = event.latents
            progress("drawing", 0, event.schedule.steps)
        elif isinstance(event, Step):
            progress("decoding" if event.number == event.steps else "drawing", event.number, event.steps)
            if preview_folder is not None and event.preview is not None:
                name = _preview_name(event, job)
                save_image(event.preview, preview_folder / name, {})
        elif isinstance(event, GenerationResult):
            # Written as they come: those that are done stay if a later one fails.
            index = event.settings.image_index
            arrays.write(event.latents, noise, str(index + 1) if job.request.count > 1 else "")
            yield Drawn.saved(event, job.output_of(index))


def _told(job: Job, work: Callable[[], Any]) -> Any:
    """`work`, whose errors name the job's place."""
    try:
        return work()
    except TintypeError as error:
        if job.place:
            error.args = (f"{job.place}: {error}", *error.args[1:])
        raise


def _preview_name(step: "Step", job: Job) -> str:
    """step-01.png, 2-step-01.png of the second of several pictures, after the number of several prompts."""
    prompt = f"{job.number}-" if job.number else ""
    picture = f"{step.image_index + 1}-" if job.request.count > 1 else ""
    return f"{prompt}{picture}step-{step.number:0{len(str(step.steps))}}.png"
