"""CLIP's byte-level BPE from its two files, checked: every mistake is a ValueError that says where it is.

A leaf module: a conversion checks a checkpoint's files by it, a pipeline reads a bundle's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import models

from .values import is_count

__all__ = ["bpe_model", "checked_vocabulary", "parse_merges"]

Merge = tuple[str, str]


def checked_vocabulary(value: Any) -> dict[str, int]:
    """vocab.json as decoded: token → id."""
    if not isinstance(value, dict) or not value:
        raise ValueError("it is no object of tokens and ids")
    for token, index in value.items():
        if not is_count(index, 0) or index >= 1 << 32:
            raise ValueError(f"the id of {token!r} is {index!r}, not an integer from 0 to 4294967295")
    if len(set(value.values())) < len(value):
        raise ValueError("several tokens have the same id")
    return dict(value)


def parse_merges(text: str) -> list[Merge]:
    """merges.txt: a pair of symbols a line."""
    merges = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        pair = line.split(" ")
        if len(pair) != 2 or not all(pair):
            raise ValueError(f"line {number} is {line[:60]!r}, expected two symbols with a space between")
        merges.append((pair[0], pair[1]))
    return merges


def bpe_model(vocabulary: Mapping[str, int], merges: Sequence[Merge], unknown: str) -> Any:
    """The `tokenizers` model; ValueError where a merge is of symbols that the vocabulary does not have."""
    try:
        return models.BPE(
            vocab=dict(vocabulary),
            merges=list(merges),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=unknown,
        )
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"vocab.json and merges.txt do not fit each other ({error})") from error
