#!/usr/bin/env python3
"""Writes the averaged weights as a public Stable Diffusion 3 pipeline: float16, `save_pretrained`, no T5.

python export.py --work WORK --out MODEL
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from models import CONFIG, Flow, make_transformer
from tokenizer import load_tokenizer
from train_vae import load_vae

SCHEDULE_SHIFT = 2.0
TOKENIZERS = ("tokenizer", "tokenizer_2")
LIMIT_MB = 12


def export(work: pathlib.Path, out: pathlib.Path, last: bool = False) -> int:
    """Writes the pipeline and returns its size in bytes."""
    state = torch.load(work / "flow.pt", map_location="cpu")
    tokenizer = load_tokenizer(work / "tokenizer", CONFIG.max_tokens)
    flow = Flow(tokenizer)
    flow.load_state_dict(state["model"] if last else {**state["model"], **state["ema"]})
    transformer = make_transformer()  # with the usual attention
    transformer.load_state_dict(flow.transformer.state_dict())
    vae = load_vae(work / "vae.pt", torch.device("cpu"))
    vae.register_to_config(scaling_factor=state["scale"], shift_factor=state["shift"])
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer.half(),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SCHEDULE_SHIFT),
        vae=vae.half(),
        text_encoder=flow.te1.half(),
        tokenizer=tokenizer,
        text_encoder_2=flow.te2.half(),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipeline.save_pretrained(out, safe_serialization=True)
    for name in TOKENIZERS:
        _write_plain_tokenizer(work / "tokenizer", out / name)
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())


def _write_plain_tokenizer(source: pathlib.Path, target: pathlib.Path) -> None:
    """CLIP's two plain files, whatever the installed transformers writes."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(source / name, target / name)
    (target / "tokenizer.json").unlink(missing_ok=True)
    path = target / "tokenizer_config.json"
    config = json.loads(path.read_text())
    kept = {key: value for key, value in config.items() if key not in ("is_local", "local_files_only")}
    path.write_text(json.dumps(kept, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--last", action="store_true", help="the latest weights, not their average")
    args = parser.parse_args()
    size = export(args.work, args.out, args.last)
    print(f"{args.out}: {size / 1e6:.2f} MB")
    if size > LIMIT_MB * 1e6:
        raise SystemExit(f"{size / 1e6:.2f} MB are more than the wheel's {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
