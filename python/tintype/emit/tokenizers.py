"""Copying a checkpoint's tokenizers into a bundle: the files that both runtimes read, and the ids."""

import codecs
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..bpe import bpe_model, checked_vocabulary, parse_merges
from ..bundle import Tokenizer
from ..errors import CheckpointError
from ..values import is_count, is_number
from ..weights import Source, checked_text
from .families import TextPart

__all__ = ["copy_clip_tokenizer", "copy_t5_tokenizer", "max_length"]

#: A start token and an end token.
MIN_TOKENS = 2

START, END = "<|startoftext|>", "<|endoftext|>"


def max_length(source: Source, folder: str, limit: int) -> int:
    """The tokens that the tokenizer in `folder` makes of a prompt, at most `limit`."""
    # Tokenizers without a limit of their own say 1e30.
    length = _settings(source, folder).get("model_max_length") or limit
    if not is_number(length) or length < MIN_TOKENS:
        raise CheckpointError(
            f"{source.path / folder}: model_max_length is {length!r}, expected a number of at least "
            f"{MIN_TOKENS}: download the tokenizer again"
        )
    return int(min(length, limit))


def copy_clip_tokenizer(source: Source, part: TextPart, out: Path, max_length: int) -> Tokenizer:
    """Write vocab.json and merges.txt into `out`, from the like files or out of a tokenizer.json.

    CheckpointError for files that are damaged or do not fit each other.
    """
    name = part.tokenizer_folder
    folder, target = source.folder(name), out / part.tokenizer
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        place = f"{folder}: vocab.json and merges.txt"
        vocab: Any = source.json(f"{name}/vocab.json")
        text = _text(folder / "merges.txt")
        source.files[f"{name}/merges.txt"] = folder / "merges.txt"
    else:
        place = str(folder / "tokenizer.json")
        data = _tokenizer_json(source, name, "BPE", "vocab.json and merges.txt")
        vocab, text = _with_added(data, data["model"]["vocab"], place), _merges_text(data, place)
    with _reading(place):
        vocab, merges = checked_vocabulary(vocab), parse_merges(text)
    settings = _settings(source, name)
    bos, eos, pad = (
        _id(source, name, vocab, _token(settings, key, default))
        for key, default in (("bos_token", START), ("eos_token", END), ("pad_token", END))
    )
    with _reading(place):
        bpe_model(vocab, merges, _token(settings, "eos_token", END))
    target.mkdir()
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        for file in ("vocab.json", "merges.txt"):
            _copy(folder / file, target / file)
    else:
        (target / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
        (target / "merges.txt").write_text(text, encoding="utf-8")
    return Tokenizer(
        "clip_bpe", part.tokenizer, max_length, bos_token_id=bos, eos_token_id=eos, pad_token_id=pad
    )


def copy_t5_tokenizer(source: Source, part: TextPart, out: Path, max_length: int) -> Tokenizer:
    """Write tokenizer.json into `out`; CheckpointError if it is damaged."""
    name = part.tokenizer_folder
    folder, target = source.folder(name), out / part.tokenizer
    data = _tokenizer_json(source, name, "Unigram", "tokenizer.json")
    file = folder / "tokenizer.json"
    with _reading(str(file)):
        _check_tokenizer(checked_text(file))
    vocab = {piece: index for index, (piece, _) in enumerate(data["model"]["vocab"])}
    vocab = _with_added(data, vocab, str(file))
    settings = _settings(source, name)
    eos = _id(source, name, vocab, _token(settings, "eos_token", "</s>"))
    pad = _id(source, name, vocab, _token(settings, "pad_token", "<pad>"))
    target.mkdir()
    _copy(file, target / "tokenizer.json")
    return Tokenizer("t5_unigram", part.tokenizer, max_length, eos_token_id=eos, pad_token_id=pad)


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """CheckpointError, naming `place`, for the ValueErrors of the block."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(
            f"{place} cannot be read as a tokenizer ({error}): download the tokenizer again"
        ) from error


def _copy(file: Path, target: Path) -> None:
    """Copy a text without its byte order mark, which not every reader of the bundle takes."""
    target.write_bytes(file.read_bytes().removeprefix(codecs.BOM_UTF8))


def _check_tokenizer(text: str) -> None:
    """ValueError where the library that reads the file in a run does not take it."""
    from tokenizers import Tokenizer as Library

    try:
        Library.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise ValueError(str(error)) from error


def _text(file: Path) -> str:
    with _reading(str(file)):
        return checked_text(file)


def _merges_text(data: Mapping[str, Any], place: str) -> str:
    """The merges of a tokenizer.json as merges.txt has them."""
    rows = data["model"].get("merges")
    lines: list[str] = []
    for row in rows if isinstance(rows, list) else [None]:
        pair: list[Any] = row if isinstance(row, list) else [row]
        if not all(map(_is_text, pair)):
            raise CheckpointError(f"{place} has no usable merges: download the tokenizer again")
        lines.append(" ".join(pair))
    return "\n".join(["#version: 0.2", *lines, ""])


def _with_added(data: Mapping[str, Any], vocab: Any, place: str) -> dict[str, int]:
    """The vocabulary with the tokens that were added to it."""
    rows = data.get("added_tokens") or ()
    good = isinstance(rows, list | tuple) and all(
        isinstance(row, dict) and _is_text(row.get("content")) and is_count(row.get("id"), 0) for row in rows
    )
    if not good or not isinstance(vocab, dict):
        what = "no usable vocab" if good else "unusable added_tokens"
        raise CheckpointError(f"{place} has {what}: download the tokenizer again")
    return {**vocab, **{row["content"]: row["id"] for row in rows}}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _settings(source: Source, name: str) -> dict[str, Any]:
    folder, settings = source.folder(name), {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / file).is_file():
            settings.update({k: v for k, v in source.json(f"{name}/{file}").items() if v is not None})
    return settings


def _tokenizer_json(source: Source, name: str, kind: str, expected: str) -> dict[str, Any]:
    folder = source.folder(name)
    if not (folder / "tokenizer.json").is_file():
        found = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise CheckpointError(
            f"{folder} has no {expected} and no tokenizer.json, only {found}: download the tokenizer again"
        )
    data = source.json(f"{name}/tokenizer.json")
    model = data.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != kind or "vocab" not in model:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} holds no {kind} model: this tokenizer is of another kind"
        )
    return data


def _token(settings: Mapping[str, Any], key: str, default: str) -> str:
    value = settings.get(key, default)
    return str(value.get("content", default)) if isinstance(value, dict) else str(value)


def _id(source: Source, name: str, vocab: Mapping[str, int], token: str) -> int:
    if token not in vocab:
        raise CheckpointError(
            f"{source.path / name}: the vocabulary has no token {token!r}: download the tokenizer again"
        )
    return int(vocab[token])
