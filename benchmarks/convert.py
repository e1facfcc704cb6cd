"""Conversion of an SD3-medium-size MMDiT (2.03 B parameters) against `cp` of the same bytes, in the same run.

    python benchmarks/convert.py [--blocks 24] [--dtype float16|bfloat16|float32] [--quantize RECIPE]
                                 [--folder DIR] [--json]

Makes a checkpoint with random weights in DIR (4 GB for float16; removed afterwards), copies its weights with
`cp` and converts it in a process of its own. Prints both times, their ratio, and the converter's peak of
anonymous memory: what it allocates, without the pages of mapped files.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HEADS, HEAD_WIDTH, CONTEXT, POOLED, CHANNELS, TABLE = 24, 64, 4096, 2048, 16, 192
WIDTH = HEADS * HEAD_WIDTH
DTYPES = {"float16": ("F16", 2), "bfloat16": ("BF16", 2), "float32": ("F32", 4)}
CONVERT = (
    "import sys, tintype; "
    "tintype.convert(sys.argv[1], sys.argv[2], components=['denoiser'], quantize=sys.argv[3] or None)"
)


def shapes(blocks: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of SD3-medium's transformer with `blocks` blocks (24 in the released one)."""

    def linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (rows, columns)
        yield f"{name}.bias", (rows,)

    yield "pos_embed.pos_embed", (1, TABLE * TABLE, WIDTH)
    yield "pos_embed.proj.weight", (WIDTH, CHANNELS, 2, 2)
    yield "pos_embed.proj.bias", (WIDTH,)
    yield from linear("context_embedder", WIDTH, CONTEXT)
    for name, columns in (("timestep_embedder", 256), ("text_embedder", POOLED)):
        yield from linear(f"time_text_embed.{name}.linear_1", WIDTH, columns)
        yield from linear(f"time_text_embed.{name}.linear_2", WIDTH, WIDTH)
    for index in range(blocks):
        block, last = f"transformer_blocks.{index}", index == blocks - 1
        projections = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj"]
        for name in projections if last else [*projections, "to_add_out"]:
            yield from linear(f"{block}.attn.{name}", WIDTH, WIDTH)
        for name in ("ff",) if last else ("ff", "ff_context"):
            yield from linear(f"{block}.{name}.net.0.proj", 4 * WIDTH, WIDTH)
            yield from linear(f"{block}.{name}.net.2", WIDTH, 4 * WIDTH)
        yield from linear(f"{block}.norm1.linear", 6 * WIDTH, WIDTH)
        yield from linear(f"{block}.norm1_context.linear", (2 if last else 6) * WIDTH, WIDTH)
    yield from linear("norm_out.linear", 2 * WIDTH, WIDTH)
    yield from linear("proj_out", 4 * CHANNELS, WIDTH)


def write_weights(path: Path, blocks: int, dtype: str) -> None:
    """A safetensors file with one random block repeated through all tensors."""
    kind, size = DTYPES[dtype]
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes(blocks):
        end = offset + int(np.prod(shape)) * size
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    values = np.random.default_rng(0).standard_normal(1 << 22).astype(np.float32) / 40
    block = {
        "float16": lambda: values.astype(np.float16).tobytes(),
        "bfloat16": lambda: (values.view(np.uint32) >> 16).astype(np.uint16).tobytes(),
        "float32": values.tobytes,
    }[dtype]()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for begin in range(0, offset, len(block)):
            file.write(block[: offset - begin])


def make_checkpoint(folder: Path, blocks: int, dtype: str) -> Path:
    """The checkpoint's folder: the transformer, and the configs of the parts that are not converted."""
    clip = {"vocab_size": 8, "num_hidden_layers": 2, "num_attention_heads": 1, "hidden_act": "gelu"}
    clip |= {"intermediate_size": 8, "architectures": ["CLIPTextModelWithProjection"]}
    parts: dict[str, dict[str, Any]] = {
        "text_encoder/config.json": {**clip, "hidden_size": 768, "projection_dim": 768},
        "text_encoder_2/config.json": {**clip, "hidden_size": 1280, "projection_dim": 1280},
        "tokenizer/tokenizer_config.json": {"model_max_length": 77},
        "tokenizer_2/tokenizer_config.json": {"model_max_length": 77},
        "scheduler/scheduler_config.json": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
        "vae/config.json": {
            "_class_name": "AutoencoderKL",
            "block_out_channels": [128, 256, 512, 512],
            "latent_channels": CHANNELS,
            "layers_per_block": 2,
            "scaling_factor": 1.5305,
            "shift_factor": 0.0609,
        },
        "transformer/config.json": {
            "_class_name": "SD3Transformer2DModel",
            "attention_head_dim": HEAD_WIDTH,
            "caption_projection_dim": WIDTH,
            "in_channels": CHANNELS,
            "joint_attention_dim": CONTEXT,
            "num_attention_heads": HEADS,
            "num_layers": blocks,
            "patch_size": 2,
            "pooled_projection_dim": POOLED,
            "pos_embed_max_size": TABLE,
            "sample_size": 128,
        },
    }
    index = {"_class_name": "StableDiffusion3Pipeline"}
    index |= {name.split("/")[0]: ["library", "class"] for name in parts}  # type: ignore[misc]
    for name, content in {**parts, "model_index.json": index}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    write_weights(folder / "transformer" / "diffusion_pytorch_model.safetensors", blocks, dtype)
    return folder


def anonymous_bytes(pid: int) -> int:
    """Anonymous resident memory of a process (Linux); 0 elsewhere or when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def timed_conversion(source: Path, output: Path, quantize: str) -> tuple[float, int]:
    """Seconds of a conversion in a fresh process, and its peak of anonymous memory in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", CONVERT, str(source), str(output), quantize])
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
    return seconds, peak


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    parser.add_argument(
        "--folder", type=Path, help="where the checkpoint and the bundle go (default: a temporary one)"
    )
    parser.add_argument("--quantize", default="", help="as for `tintype convert`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tintype-convert-", dir=options.folder))
    try:
        source = make_checkpoint(folder / "checkpoint", options.blocks, options.dtype)
        weights = source / "transformer" / "diffusion_pytorch_model.safetensors"
        begin = time.perf_counter()
        subprocess.run(["cp", str(weights), str(folder / "copy")], check=True)
        subprocess.run(["sync", str(folder / "copy")], check=True)
        copying = time.perf_counter() - begin
        (folder / "copy").unlink()
        seconds, peak = timed_conversion(source, folder / "bundle", options.quantize)
        result = {
            "parameters": sum(int(np.prod(shape)) for _, shape in shapes(options.blocks)),
            "bytes": weights.stat().st_size,
            "dtype": options.dtype,
            "quantize": options.quantize or "no",
            "cp_and_sync_seconds": round(copying, 2),
            "convert_seconds": round(seconds, 2),
            "ratio": round(seconds / copying, 2),
            "peak_anonymous_bytes": peak,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22} {value:,}" if isinstance(value, int) else f"{name:22} {value}")


if __name__ == "__main__":
    main()
