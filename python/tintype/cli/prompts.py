"""A file of prompts: what `tintype generate --prompt-file` draws, and into which files."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..values import decode_json
from .output import size_of

if TYPE_CHECKING:
    from ..pipeline import GenerationRequest

__all__ = ["Job", "numbered", "read_jobs"]

#: Fields of a request that a line cannot give: arrays, and what is of the whole command.
NOT_IN_A_LINE = ("latents", "statistics", "preview_interval")

#: Fields that are integers, or a list of them.
INTEGERS = ("seed", "steps", "count", "size")

OUTPUT = "output"


@dataclass(frozen=True)
class Job:
    """A request, the file of its picture, where it was asked for (empty on the command line), and its padded
    number among several prompts of a file (else empty)."""

    request: "GenerationRequest"
    output: Path
    place: str = ""
    number: str = ""

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files of all of its pictures."""
        return tuple(self.output_of(index) for index in range(self.request.count))

    def output_of(self, index: int) -> Path:
        """The file of picture `index`, from 0: out.png of several is out-1.png, out-2.png, …"""
        return self.output if self.request.count == 1 else numbered(self.output, str(index + 1))


def numbered(path: Path, number: str) -> Path:
    """out.png as out-NUMBER.png."""
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def read_jobs(file: Path, common: "GenerationRequest", output: Path) -> list[Job]:
    """The lines of `file` ("-": the standard input) as jobs; empty lines are left out.

    A line is a prompt, or a JSON object with a prompt and other fields of a request, which take the place of
    `common`'s, and perhaps with the picture's file as "output", from `output`'s folder on. Else the file is
    `output` with the line's number among the prompts, the same from run to run.

    UsageError, naming the line, for what cannot be read.
    """
    lines = [line.strip() for line in _text(file).splitlines()]
    source = "the standard input" if str(file) == "-" else str(file)
    places = [(f"{source}, line {number}", line) for number, line in enumerate(lines, 1) if line]
    if not places:
        raise UsageError(f"{source} has no prompts: write one a line")
    jobs = []
    for index, (place, line) in enumerate(places, 1):
        number = f"{index:0{len(str(len(places)))}}"
        job = _job(line, place, common, numbered(output, number))
        jobs.append(replace(job, number=number if len(places) > 1 else ""))
    _check_outputs(jobs)
    return jobs


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"the prompts cannot be read from {file} ({reason}): name a text file in UTF-8"
        ) from error


def _job(line: str, place: str, common: "GenerationRequest", output: Path) -> Job:
    if not line.startswith("{"):
        return Job(replace(common, prompt=line), output, place)
    try:
        row = decode_json(line)
    except ValueError as error:
        raise UsageError(f"{place}: the line begins with {{ but is not JSON ({error})") from error
    allowed = [f.name for f in fields(common) if f.name not in NOT_IN_A_LINE]
    unknown = [key for key in row if key not in (*allowed, OUTPUT)]
    if unknown or "prompt" not in row:
        what = f"{unknown[0]!r} is not known" if unknown else "there is no prompt"
        raise UsageError(f"{place}: {what}, expected keys among {', '.join((*allowed, OUTPUT))}")
    name = row.pop(OUTPUT, None)
    if name is not None and (not isinstance(name, str) or not name):
        raise UsageError(f"{place}: {OUTPUT} is {name!r}, expected a file's name")
    return Job(replace(common, **_settings(row, place)), output.parent / name if name else output, place)


def _whole(value: Any) -> Any:
    """A float without a fraction as an integer: JSON knows no difference, and writers put 1.0 for 1."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _settings(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    settings = {key: _whole(value) if key in INTEGERS else value for key, value in row.items()}
    if isinstance(row.get("size"), str):
        size = size_of(row["size"])
        if size is None:
            raise UsageError(f"{place}: size is {row['size']!r}, expected WIDTHxHEIGHT such as 1024x768")
        settings["size"] = size
    count = settings.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(f"{place}: count is {count!r}, expected an integer of at least 1")
    return settings


def _check_outputs(jobs: Sequence[Job]) -> None:
    from ..pipeline.image import check_target

    seen: dict[Path, str] = {}
    for job in jobs:
        for output in job.outputs:
            if output in seen:
                raise UsageError(
                    f"{job.place}: {output} is the file of {seen[output]}, too: name another output"
                )
            seen[output] = job.place
        try:
            check_target(job.output)
        except UsageError as error:
            raise UsageError(f"{job.place}: {error}") from error
