"""Conversion at the released models' sizes, against `cp` of the same bytes in the same run.

    python benchmarks/convert.py [ROW …] [--folder DIR] [--keep] [--json]

Rows (all, if none is named):

    fp16 bf16 fp32    SD3-medium's transformer (2.08 B parameters) from such a checkpoint to float16
    int4 palette4     the same from float16, in fewer bits
    ane               the same for the Neural Engine at 1024 x 1024, cut into packages of 1 GB at most
    sizes ane-sizes   the same at four sizes
    lora              the same from float16, with a LoRA of rank 16 on every linear layer of the blocks
    flux flux-ane     FLUX.1's widths with a third of its blocks (4.28 B parameters)

Each row makes a checkpoint with random weights in DIR (4 to 9 GB; with --keep it stays for the next run),
copies its weights with `cp` and `sync`, and converts it in a process of its own. Prints both times, their
ratio, the bar, and the converter's peak of anonymous memory: what it allocates, without the pages of mapped
files.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checkpoints import make_checkpoint, make_lora, parameters

CONVERT = (
    "import json, sys, tintype; "
    "tintype.convert(sys.argv[1], sys.argv[2], components=['denoiser'], gate=None, **json.loads(sys.argv[3]))"
)

#: Bars: times of `cp`, and seconds on top; bytes of anonymous memory.
COPIES, START_SECONDS = 1.5, 3.0
PLAIN_MEMORY, COMPRESSING_MEMORY = 0.3e9, 1e9

SIZES = {"size": [[1024, 1024], [768, 1344], [1344, 768], [512, 512]]}


@dataclass(frozen=True)
class Row:
    """A checkpoint and the options of its conversion; `seconds` is its bar where it is not of `cp`."""

    model: str = "sd3"
    dtype: str = "float16"
    options: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 0  # of a LoRA
    seconds: float | None = None


ROWS = {
    "fp16": Row(),
    "bf16": Row(dtype="bfloat16"),
    "fp32": Row(dtype="float32"),
    "int4": Row(options={"quantize": "int4"}, seconds=60),
    "palette4": Row(options={"quantize": "palette4"}, seconds=120),
    "lora": Row(rank=16),
    "ane": Row(options={"target": "ane"}),
    "sizes": Row(options=SIZES),
    "ane-sizes": Row(options={"target": "ane", **SIZES}),
    "flux": Row("flux"),
    "flux-ane": Row("flux", options={"target": "ane"}),
}


def anonymous_bytes(pid: int) -> int:
    """Anonymous resident memory of a process (Linux); 0 elsewhere or when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def timed_copy(file: Path, copy: Path) -> float:
    """Seconds of copying `file` to the disk."""
    begin = time.perf_counter()
    subprocess.run(["cp", str(file), str(copy)], check=True)
    subprocess.run(["sync", str(copy)], check=True)
    seconds = time.perf_counter() - begin
    copy.unlink()
    return seconds


def timed_conversion(source: Path, output: Path, options: Mapping[str, Any]) -> tuple[float, float, int]:
    """Seconds of a conversion in a fresh process, its processor time, its peak of anonymous bytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", CONVERT, str(source), str(output), json.dumps(options)])
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, anonymous_bytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    if code != 0:
        raise SystemExit(f"the conversion failed with exit status {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, peak


def measured(name: str, folder: Path, keep: bool) -> dict[str, Any]:
    """The numbers of a row."""
    row = ROWS[name]
    source = folder / f"{row.model}-{row.dtype}"
    try:
        weights = make_checkpoint(source, row.model, row.dtype)
        copying = timed_copy(weights, folder / "copy")
        lora = {"lora": str(make_lora(folder / "lora.safetensors", row.model, row.rank))} if row.rank else {}
        seconds, cpu, peak = timed_conversion(source, folder / "bundle", {**row.options, **lora})
        bar = row.seconds or COPIES * copying + START_SECONDS
        limit = COMPRESSING_MEMORY if "quantize" in row.options else PLAIN_MEMORY
        return {
            "row": name,
            "parameters": parameters(row.model),
            "bytes": weights.stat().st_size,
            "cp_and_sync_seconds": round(copying, 2),
            "convert_seconds": round(seconds, 2),
            "convert_processor_seconds": round(cpu, 2),
            "ratio": round(seconds / copying, 2),
            "bar_seconds": round(bar, 2),
            "peak_anonymous_bytes": peak,
            "bar_bytes": int(limit),
            "passed": seconds <= bar and peak <= limit,
        }
    finally:
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        (folder / "lora.safetensors").unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(source, ignore_errors=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"among {', '.join(ROWS)} (default: all)")
    parser.add_argument("--folder", type=Path, help="where the files go (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the checkpoints in --folder")
    parser.add_argument("--json", action="store_true", help="print a row as a line of JSON")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; choose among {', '.join(ROWS)}")
    if options.keep and options.folder is None:
        parser.error("--keep leaves the checkpoints in --folder: name one")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tintype-convert-"))
    try:
        for name in options.rows or ROWS:
            result = measured(name, folder, options.keep)
            print(json.dumps(result) if options.json else text(result), flush=True)
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def text(row: Mapping[str, Any]) -> str:
    """A row for people."""
    return (
        f"{row['row']:9} {row['parameters'] / 1e9:.2f} B  cp {row['cp_and_sync_seconds']:6.1f} s  "
        f"convert {row['convert_seconds']:6.1f} s = {row['ratio']:.2f} x, bar {row['bar_seconds']:.1f} s, "
        f"of processors {row['convert_processor_seconds']:.1f} s  "
        f"memory {row['peak_anonymous_bytes'] / 1e9:.2f} GB, bar {row['bar_bytes'] / 1e9:.1f} GB  "
        f"{'passed' if row['passed'] else 'FAILED'}"
    )


if __name__ == "__main__":
    main()
