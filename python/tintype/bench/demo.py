"""Suite `demo`: does the embedded model draw what it is told, and does float16 lose anything?

Every prompt of `tintype.demo_world` is drawn from a float16 and from a float32 bundle of the same checkpoint
with the same noise, and judged by the analytic checker.
"""

import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from PIL import Image

from tintype import demo_world
from tintype.embedded import embedded_checkpoint
from tintype.pipeline import Pipeline

Precision = Literal["float16", "float32"]
PRECISIONS: tuple[Precision, ...] = ("float16", "float32")


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """Tables by precision, and the seconds that one picture took."""

    tables: dict[str, demo_world.Table]
    seconds_per_image: dict[str, float]
    steps: int
    backend: str

    def all_right(self, precision: str) -> float:
        """Percent of pictures with everything right at once, over all rows."""
        rows = [row["all"] for row in self.tables[precision].values()]
        return 100.0 * sum(r.right for r in rows) / sum(r.asked for r in rows)

    def text(self) -> str:
        """The report as Markdown."""
        parts = []
        for precision, table in self.tables.items():
            seconds = self.seconds_per_image[precision]
            parts.append(f"{precision}, {self.backend}, {self.steps} steps, {seconds:.2f} s an image\n")
            parts.append(demo_world.format_table(table) + "\n")
        if len(self.tables) == len(PRECISIONS):
            gain = self.all_right("float16") - self.all_right("float32")
            parts.append(f"float16 against float32, everything right: {gain:+.1f} points")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; a score is [right, asked]."""
        tables = {
            precision: {
                row: {k: [s.right, s.asked] for k, s in cells.items()} for row, cells in table.items()
            }
            for precision, table in self.tables.items()
        }
        return {**dataclasses.asdict(self), "tables": tables}


def run_demo(
    count: int = 200,
    *,
    steps: int = 12,
    backend: str = "auto",
    precisions: Sequence[Precision] = PRECISIONS,
    on_image: Callable[[str, int, int], None] | None = None,
) -> DemoReport:
    """Draws and judges `count` prompts a precision; `on_image(precision, done, total)` reports progress."""
    from tintype.emit import convert

    report = DemoReport({}, {}, steps, backend)
    total = sum(1 for _ in demo_world.prompts(count))

    def progress(precision: str) -> Callable[[int], None]:
        return lambda done: None if on_image is None else on_image(precision, done, total)

    with tempfile.TemporaryDirectory(prefix="tintype-bench-") as folder:
        for precision in precisions:
            bundle = convert(embedded_checkpoint(), pathlib.Path(folder) / precision, precision=precision)
            start = time.perf_counter()
            with Pipeline.load(bundle, backend=backend) as pipeline:
                report.tables[precision] = _judge_all(pipeline, count, steps, progress(precision))
            report.seconds_per_image[precision] = (time.perf_counter() - start) / total
    return report


def _judge_all(
    pipeline: Pipeline, count: int, steps: int, on_done: Callable[[int], None]
) -> demo_world.Table:
    """Draws and judges `count` prompts with one pipeline."""
    done = itertools.count(1)

    def draw(text: str, seed: int) -> Image.Image:
        return pipeline.generate(text, seed=seed, steps=steps).image

    def after(prompt: demo_world.Prompt, verdict: demo_world.Verdict) -> None:
        on_done(next(done))

    return demo_world.evaluate(draw, count, after)
