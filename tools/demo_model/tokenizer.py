"""CLIP's byte-level BPE with a vocabulary for the demo world alone: every word of it is one token.

The rest of a vocabulary of 819 is the 256 bytes (with and without end of word), so any other text is
spelt out rather than refused.  The files are CLIP's plain `vocab.json` and `merges.txt`.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import random
from collections import Counter

from source_tree import demo_world
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
SAMPLE_CAPTIONS = 6000

# Words that a person may try although no caption has them: one token each, to be told apart later.
SPARE_WORDS = """
the with and of in at it is one three side by both there drawing picture image photo painting illustration
simple shape object background colored coloured colour color plain please draw show me center centre middle
dark light tiny huge grey teal violet magenta dot disk disc box rectangle ellipse oval line moon hello world
cat dog house sun tree flower car top bottom left right next left-hand corner under up down behind front
"""


def load_tokenizer(folder: pathlib.Path, max_tokens: int) -> CLIPTokenizer:
    """The tokenizer in a folder, built there first when it is missing."""
    if not (folder / "vocab.json").exists():
        build_tokenizer(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=max_tokens)
    ids = tokenizer("a red circle above a blue square").input_ids
    if len(ids) != 9 or tokenizer.pad_token_id != tokenizer.eos_token_id:
        raise ValueError(f"{folder}: a caption of 7 words became {len(ids)} tokens, expected 9")
    return tokenizer


def build_tokenizer(folder: pathlib.Path) -> None:
    """Writes `vocab.json` and `merges.txt`."""
    merges = _merges(_word_weights())
    symbols = list(_byte_symbols())
    vocabulary = symbols + [s + "</w>" for s in symbols] + [a + b for a, b in merges] + [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    table = {token: index for index, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _word_weights() -> dict[str, int]:
    """The world's words with the root of their frequency."""
    world = demo_world.world
    rng = random.Random(5)
    counts: Counter[str] = Counter()
    for _ in range(SAMPLE_CAPTIONS):
        text = demo_world.caption(demo_world.sample_scene(rng, held_out=True), rng)
        counts.update(text.replace(".", " ").split())
    for word in (*world.PLURALS.values(), *world.PLURALS, *SPARE_WORDS.split()):
        if word.isalpha() and word not in counts:
            counts[word] = 1
    return {word: max(1, math.isqrt(count)) for word, count in counts.items()}


def _merges(weights: dict[str, int]) -> list[tuple[str, str]]:
    """Byte-pair merges until every word is one token."""
    splits = {word: [*word[:-1], word[-1] + "</w>"] for word in sorted(weights)}
    merges = []
    while any(len(split) > 1 for split in splits.values()):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, split in splits.items():
            for pair in itertools.pairwise(split):
                pairs[pair] += weights[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        splits = {word: _merge(split, best) for word, split in splits.items()}
    return merges


def _merge(split: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    index = 0
    while index < len(split):
        if tuple(split[index : index + 2]) == pair:
            merged.append(pair[0] + pair[1])
            index += 2
        else:
            merged.append(split[index])
            index += 1
    return merged


def _byte_symbols() -> list[str]:
    """CLIP's printable stand-in for every byte, in its order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
