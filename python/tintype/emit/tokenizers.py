"""Copying a checkpoint's tokenizers into a bundle: the files that both runtimes read, and the ids."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle import Tokenizer
from ..errors import CheckpointError
from ..weights import Source
from .families import TextPart

__all__ = ["clip_tokens", "copy_clip_tokenizer", "copy_t5_tokenizer", "t5_tokens"]

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokens(source: Source, folder: str, max_positions: int) -> int:
    """L: the length that the CLIP tokenizer in `folder` pads to, at most the encoder's positions."""
    return _max_length(_settings(source, folder), max_positions)


def t5_tokens(source: Source, folder: str, limit: int) -> int:
    """T: the length of the T5 tokenizer in `folder`, at most `limit`."""
    return _max_length(_settings(source, folder), limit)


def copy_clip_tokenizer(source: Source, part: TextPart, out: Path, max_length: int) -> Tokenizer:
    """Write vocab.json and merges.txt into `out`, from the like files or out of a tokenizer.json."""
    name = part.tokenizer_folder
    folder, target = source.folder(name), out / part.tokenizer
    target.mkdir()
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        vocab = source.json(f"{name}/vocab.json")
        for file in ("vocab.json", "merges.txt"):
            shutil.copyfile(folder / file, target / file)
        source.files[f"{name}/merges.txt"] = folder / "merges.txt"
    else:
        data = _tokenizer_json(source, name, "BPE", "vocab.json and merges.txt")
        vocab = {**data["model"]["vocab"], **_added(data)}
        merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
        (target / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
        (target / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    settings = _settings(source, name)
    bos, eos, pad = (
        _id(source, name, vocab, _token(settings, key, default))
        for key, default in (("bos_token", START), ("eos_token", END), ("pad_token", END))
    )
    return Tokenizer(
        "clip_bpe", part.tokenizer, max_length, bos_token_id=bos, eos_token_id=eos, pad_token_id=pad
    )


def copy_t5_tokenizer(source: Source, part: TextPart, out: Path, max_length: int) -> Tokenizer:
    """Write tokenizer.json into `out`."""
    name = part.tokenizer_folder
    folder, target = source.folder(name), out / part.tokenizer
    data = _tokenizer_json(source, name, "Unigram", "tokenizer.json")
    target.mkdir()
    shutil.copyfile(folder / "tokenizer.json", target / "tokenizer.json")
    vocab = {piece: index for index, (piece, _) in enumerate(data["model"]["vocab"])} | _added(data)
    settings = _settings(source, name)
    eos = _id(source, name, vocab, _token(settings, "eos_token", "</s>"))
    pad = _id(source, name, vocab, _token(settings, "pad_token", "<pad>"))
    return Tokenizer("t5_unigram", part.tokenizer, max_length, eos_token_id=eos, pad_token_id=pad)


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


def _added(data: Mapping[str, Any]) -> dict[str, int]:
    return {str(row["content"]): int(row["id"]) for row in data.get("added_tokens") or ()}


def _token(settings: Mapping[str, Any], key: str, default: str) -> str:
    value = settings.get(key, default)
    return str(value.get("content", default)) if isinstance(value, dict) else str(value)


def _id(source: Source, name: str, vocab: Mapping[str, int], token: str) -> int:
    if token not in vocab:
        raise CheckpointError(
            f"{source.path / name}: the vocabulary has no token {token!r}: download the tokenizer again"
        )
    return int(vocab[token])


def _max_length(settings: Mapping[str, Any], limit: int) -> int:
    # Tokenizers without a limit of their own say 1e30.
    return int(min(settings.get("model_max_length") or limit, limit))
