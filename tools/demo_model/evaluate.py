#!/usr/bin/env python3
"""Prints the accuracy table of an exported pipeline: 200 unseen prompts, judged by the analytic checker.

python evaluate.py --model MODEL
"""

from __future__ import annotations

import argparse
import pathlib
import time

import torch
from drawing import GUIDANCE, STEPS, ZERO_TOKENS, draw, load_pipeline
from source_tree import EMBEDDED_MODEL, demo_world

BATCH = 5  # small enough for a CPU core's cache: ten times as fast as 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=EMBEDDED_MODEL)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--zero-tokens", type=int, default=ZERO_TOKENS)
    parser.add_argument("--shift", type=float, help="the schedule's shift, when not the exported one")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--failures", type=pathlib.Path, help="folder for the pictures that are not all right"
    )
    args = parser.parse_args()

    pipeline = load_pipeline(args.model, args.device)
    if args.shift:
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, shift=args.shift)
    todo = list(demo_world.prompts(args.count))
    table: demo_world.Table = {}
    begin = time.time()
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        options = {"steps": args.steps, "guidance": args.guidance, "zero_tokens": args.zero_tokens}
        pictures = draw(pipeline, [p.text for p in batch], [p.seed for p in batch], **options)
        for prompt, picture in zip(batch, pictures, strict=True):
            verdict = demo_world.judge(picture, prompt.scene)
            demo_world.add_verdict(table, prompt.row, verdict)
            if args.failures and not verdict["all"].right:
                args.failures.mkdir(parents=True, exist_ok=True)
                picture.save(args.failures / f"{prompt.seed} {prompt.text.rstrip('.')}.png")
    per_picture = (time.time() - begin) / len(todo)
    shift = pipeline.scheduler.config.shift
    print(f"{len(todo)} prompts, {args.steps} steps, guidance {args.guidance}, shift {shift}, ", end="")
    print(f"{args.zero_tokens} zero tokens, {per_picture:.2f} s a picture\n")
    print(demo_world.format_table(table))


if __name__ == "__main__":
    main()
