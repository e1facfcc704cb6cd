"""Token ids against those that Hugging Face's tokenizers gave (tests/data/scripts/make_tokenizers*.py)."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tintype.bundle import Bundle
from tintype.errors import BundleError
from tintype.pipeline.tokenization import TextTokenizer, clip_tokenizer, load_tokenizer, t5_tokenizer


@pytest.fixture(scope="module")
def clip(data: pathlib.Path) -> TextTokenizer:
    return clip_tokenizer(data / "tokenizers/clip", 77, bos_id=1624, eos_id=1625, pad_id=1625)


@pytest.fixture(scope="module")
def t5(data: pathlib.Path) -> TextTokenizer:
    return t5_tokenizer(data / "tokenizers/t5", 77, eos_id=1, pad_id=0)


def test_all_recorded_strings(data: pathlib.Path, clip: TextTokenizer, t5: TextTokenizer) -> None:
    rows = json.loads((data / "tokenizers/vectors.json").read_text())
    assert len(rows) == 3006
    wrong = [
        row["text"]
        for row in rows
        if clip.encode(row["text"]).ids[0].tolist() != row["clip"] or t5.ids(row["text"]) != row["t5"]
    ]
    assert wrong == []


def test_awkward_strings(data: pathlib.Path) -> None:
    rows = json.loads((data / "tokenizers/edges.json").read_text())
    made: dict[str, TextTokenizer] = {}
    wrong = []
    for row in rows:
        folder = row["tokenizer"]
        if folder not in made and row["kind"] == "clip":
            made[folder] = clip_tokenizer(
                data / folder, 77, bos_id=row["bos"], eos_id=row["eos"], pad_id=row["pad"]
            )
        elif folder not in made:
            made[folder] = t5_tokenizer(data / folder, 77, eos_id=1, pad_id=row["pad"])
        ids = made[folder].ids(row["text"])
        if row["kind"] == "clip":
            ids = made[folder].encode(row["text"]).ids[0].tolist()
        if ids != row["ids"]:
            wrong.append((folder, row["text"]))
    assert rows
    assert wrong == []


def test_the_pad_token_is_special_where_it_is_not_the_end_token(data: pathlib.Path) -> None:
    # transformers' CLIPTokenizer(pad_token="!") on tests/data/tokenizers/clip
    tokenizer = clip_tokenizer(data / "tokenizers/clip", 12, bos_id=1624, eos_id=1625, pad_id=0)
    assert tokenizer.encode("hi! there!!").ids.tolist() == [[1624, 71, 358, 0, 431, 400, 0, 0, 1625, 0, 0, 0]]


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_prompt_is_legal(clip: TextTokenizer, t5: TextTokenizer, text: str) -> None:
    assert clip.encode(text).ids.tolist() == [[1624] + [1625] * 76]
    assert t5.encode(text).ids.tolist() == [[1] + [0] * 76]
    assert clip.encode(text).cut == ""


def test_long_prompts_are_cut_and_keep_the_end_token(clip: TextTokenizer, t5: TextTokenizer) -> None:
    text = "cat " * 75 + "dog\u0301 and a FISH"
    encoded = clip.encode(text)
    assert encoded.ids.shape == (1, 77)
    assert encoded.ids.dtype == np.int32
    assert encoded.ids[0, -1] == 1625
    assert encoded.ids[0, :76].tolist() == clip.ids(text)[:76]
    assert encoded.cut == text[len("cat " * 75) :]
    assert clip.encode("cat " * 75).cut == ""  # 75 words and two special tokens: exactly full
    cut = t5.encode(text)
    assert cut.ids[0, -1] == 1
    assert cut.ids[0, :76].tolist() == t5.ids(text)[:76]
    assert text.endswith(cut.cut)


def test_the_bundle_says_how_to_tokenize(sd3: Bundle, golden) -> None:
    text = golden("sd3-medium-tiny/golden/text")
    prompt = "a red circle above a blue square on a white background"
    for name, ids in (("tokenizer", "ids_1"), ("tokenizer_2", "ids_2"), ("tokenizer_3", "ids_3")):
        np.testing.assert_array_equal(load_tokenizer(sd3, name).encode(prompt).ids, text[ids])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.json", None, r"vocab.json cannot be read as a vocabulary .*convert the model again"),
        ("vocab.json", "[1]", r"vocab.json cannot be read as a vocabulary"),
        ("vocab.json", '{"a": true}', r"the id of 'a' is True, not an integer"),
        ("vocab.json", '{"a": 0, "b": 0}', r"several tokens have the same id"),
        ("vocab.json", "[" * 100_000, r"vocab.json cannot be read as a vocabulary \(it is nested too deep"),
        (
            "vocab.json",
            '{"a": 1624}',
            r"vocab.json has no token 1625, which bundle.json names as eos_token_id",
        ),
        ("merges.txt", None, r"merges.txt cannot be read as merges"),
        (
            "merges.txt",
            "#version: 0.2\na b c\n",
            r"merges.txt cannot be read as merges \(line 2 is 'a b c', expected two symbols",
        ),
        ("merges.txt", "#version: 0.2\nzzz qqq\n", r"do not fit each other"),
    ],
)
def test_damaged_files_are_named(
    data: pathlib.Path, tmp_path: pathlib.Path, file: str, content: str | None, message: str
) -> None:
    shutil.copytree(data / "tokenizers/clip", tmp_path / "clip")
    if content is None:
        (tmp_path / "clip" / file).unlink()
    else:
        (tmp_path / "clip" / file).write_text(content)
    with pytest.raises(BundleError, match=message):
        clip_tokenizer(tmp_path / "clip", 77, bos_id=1624, eos_id=1625, pad_id=1625)


def test_a_damaged_t5_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BundleError, match=r"tokenizer.json cannot be read"):
        t5_tokenizer(tmp_path, 77, eos_id=1, pad_id=0)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match=r"tokenizer.json cannot be read"):
        t5_tokenizer(tmp_path, 77, eos_id=1, pad_id=0)
