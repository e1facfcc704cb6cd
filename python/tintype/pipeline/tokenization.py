"""Prompts to token ids: CLIP's byte-level BPE and T5's Unigram, as transformers' tokenizers give them.

CLIP is built from `vocab.json` and `merges.txt` with the normaliser, the published split pattern and the
special tokens of transformers' CLIPTokenizer; T5 is read from `tokenizer.json`. Both by the `tokenizers`
library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors

from ..bpe import bpe_model, checked_vocabulary, parse_merges
from ..bundle import Bundle
from ..bundle import Tokenizer as TokenizerRow
from ..errors import BundleError
from ..values import decode_json

__all__ = ["Encoded", "TextTokenizer", "clip_tokenizer", "load_tokenizer", "t5_tokenizer"]

T = TypeVar("T")

#: OpenAI's split: special tokens, English contractions, runs of letters, single digits, runs of the rest.
CLIP_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True)
class Encoded:
    """A prompt's ids, int32 [1, max_length], and the end of the prompt that did not fit ("" if all did)."""

    ids: np.ndarray[Any, Any]
    cut: str


class TextTokenizer:
    """Tokenizer of one text encoder: pads to `max_length`; what is longer is cut, the end token kept."""

    def __init__(self, tokenizer: Tokenizer, max_length: int, *, eos_id: int, pad_id: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_length = max_length
        self._eos_id, self._pad_id = eos_id, pad_id

    def ids(self, text: str) -> list[int]:
        """All ids with the special tokens, neither padded nor cut."""
        return list(self._tokenizer.encode(text).ids)

    def encode(self, text: str) -> Encoded:
        """`text` as ids [1, max_length]."""
        encoding = self._tokenizer.encode(text)
        cut = ""
        if len(encoding.ids) > self.max_length:
            # The last id that stays is the end token, so the first that goes is one earlier.
            first = encoding.offsets[self.max_length - 1][0]
            cut = text[first:].strip()
            ids = [*encoding.ids[: self.max_length - 1], self._eos_id]
        else:
            ids = list(encoding.ids)
        ids += [self._pad_id] * (self.max_length - len(ids))
        return Encoded(np.asarray([ids], dtype=np.int32), cut)


def clip_tokenizer(
    folder: str | Path, max_length: int, *, bos_id: int, eos_id: int, pad_id: int
) -> TextTokenizer:
    """CLIP's tokenizer from `vocab.json` and `merges.txt`; BundleError if they are missing or damaged.

    The pad token is a special token of its own where it is not the end token: SD3's second tokenizer pads
    with "!" (id 0), and transformers then reads every "!" of a prompt as that token. The reference was
    trained and is run that way, so it is kept.
    """
    folder = Path(folder)
    vocabulary = _read(folder / "vocab.json", "a vocabulary", lambda t: checked_vocabulary(decode_json(t)))
    merges = _read(folder / "merges.txt", "merges", parse_merges)
    contents = {index: token for token, index in vocabulary.items()}
    special = {}
    for name, index in (("bos_token_id", bos_id), ("eos_token_id", eos_id), ("pad_token_id", pad_id)):
        if index not in contents:
            raise BundleError(
                f"{folder / 'vocab.json'} has no token {index}, which bundle.json names as {name}: "
                f"convert the model again"
            )
        special[name] = contents[index]
    bos, eos = special["bos_token_id"], special["eos_token_id"]
    try:
        model = bpe_model(vocabulary, merges, eos)
    except ValueError as error:
        raise BundleError(f"{folder}: {error}: convert the model again") from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        (eos, eos_id), (bos, bos_id), trim_offsets=False, add_prefix_space=False
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in dict.fromkeys(special.values())]
    )
    return TextTokenizer(tokenizer, max_length, eos_id=eos_id, pad_id=pad_id)


def t5_tokenizer(folder: str | Path, max_length: int, *, eos_id: int, pad_id: int) -> TextTokenizer:
    """T5's tokenizer from `tokenizer.json`; BundleError if it is missing or damaged."""
    file = Path(folder) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises plain Exception
        raise BundleError(f"{file} cannot be read ({error}): convert the model again") from error
    return TextTokenizer(tokenizer, max_length, eos_id=eos_id, pad_id=pad_id)


def load_tokenizer(bundle: Bundle, name: str) -> TextTokenizer:
    """The bundle's tokenizer called `name`."""
    folder = bundle.tokenizer_path(name)
    row: TokenizerRow = bundle.tokenizers[name]
    if row.kind == "t5_unigram":
        return t5_tokenizer(folder, row.max_length, eos_id=row.eos_token_id, pad_id=row.pad_token_id)
    if row.bos_token_id is None:
        raise BundleError(f"bundle.json: tokenizers.{name}.bos_token_id is missing: convert the model again")
    return clip_tokenizer(
        folder, row.max_length, bos_id=row.bos_token_id, eos_id=row.eos_token_id, pad_id=row.pad_token_id
    )


def _read(file: Path, what: str, parse: Callable[[str], T]) -> T:
    """The file's text by `parse`; BundleError if it is missing or damaged."""
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{file} cannot be read as {what} ({error}): convert the model again") from error
